//! What shows a service manager that the program still does its work.

use footbridge_cli::service_manager::ServiceManager;
use smol::Timer;

/// Says from the loop that everything runs on that it does, as often as that is wanted. Never ends.
pub(super) async fn keep<T>(manager: &ServiceManager) -> T {
    let Some(every) = manager.watchdog() else { return std::future::pending().await };
    loop {
        manager.alive();
        Timer::after(every).await;
    }
}
