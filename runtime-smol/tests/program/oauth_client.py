"""Logs in at a relay with Authlib, which knows nothing of this project."""
import sys
import time

import requests
from authlib.integrations.requests_client import OAuth2Session

relay = sys.argv[1]
found = requests.get(f"{relay}/.well-known/oauth-authorization-server", timeout=10).json()
assert found["issuer"] == relay, found
client_id = "somebody-elses-client"
session = OAuth2Session(client_id, scope="watch", token_endpoint_auth_method="none")
session.trust_env = False
begun = session.post(
    found["device_authorization_endpoint"],
    data={"client_id": client_id, "scope": "watch"},
    withhold_token=True,
    timeout=10,
).json()


def fetch():
    return session.fetch_token(
        found["token_endpoint"],
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=begun["device_code"],
        timeout=10,
    )


try:
    fetch()
except Exception as error:  # what it raises depends on its version
    pending = getattr(error, "error", str(error))
print(begun["user_code"], flush=True)
print(pending, flush=True)
for _ in range(60):
    time.sleep(begun["interval"])
    try:
        token = fetch()
        break
    except Exception as error:
        assert getattr(error, "error", "") in ("authorization_pending", "slow_down"), error
print(f"logged in: {token['scope']}", flush=True)
renewed = session.refresh_token(
    found["token_endpoint"], refresh_token=token["refresh_token"], timeout=10
)
assert renewed["refresh_token"] != token["refresh_token"]
print("refreshed", flush=True)
answer = session.get(f"{relay}/v1/sessions", timeout=10)
assert answer.status_code == 200, answer.text
print("ok", flush=True)
