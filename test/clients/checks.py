"""What the boto3 suites share: counted checks, and bodies that can be told apart."""

import hashlib
import sys

from botocore.exceptions import ClientError

passed = 0


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


def done():
    """Says how much was checked: whoever runs a suite wants to see that it was something."""
    print(f"{passed} checks passed")
