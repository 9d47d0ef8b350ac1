"""Asks the web process of this container how it is: `python -I reanna/stack/healthcheck.py`; code 0 when well.

Standard library only, so that a check every few seconds costs next to nothing. Sends a host name that the
process accepts (ALLOWED_HOSTS), because it answers to no other.
"""

import http.client
import os
import sys

PORT = 8000
LIMIT_S = 3.0


def main() -> int:
    """0 when /healthz answers 200 in time, else 1."""
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=LIMIT_S)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost" if host in {"", "*"} else host})
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
