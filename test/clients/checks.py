"""What the Python suites share: counted checks, bodies that can be told apart, and what is left behind."""

import hashlib
import json
import sys

from botocore.exceptions import ClientError

passed = 0
left = {}  # key: SHA-256 of what must lie there in the end


def check(what, got, want):
    """Counts a check, and ends the run at the first that fails."""
    global passed
    if got != want:
        sys.exit(f"{what}: got {got!r:.300}, want {want!r:.300}")
    passed += 1


def refused(what, status, code, call, **args):
    """Checks that a call fails with exactly this status and S3 code."""
    try:
        call(**args)
    except ClientError as e:
        got = (e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"])
        check(what, got, (status, code))
        return
    sys.exit(f"{what}: it succeeded")


def body(name, size):
    seed = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return (seed * (size // len(seed) + 1))[:size]


def leave(key, data):
    """Notes what a key must hold when the suite has ended, on every backend."""
    left[key] = hashlib.sha256(data).hexdigest()


def done():
    """Says how much was checked: whoever runs a suite wants to see that it was something."""
    print(f"{passed} checks passed")
    if left:
        print("LEFT " + json.dumps(left))
