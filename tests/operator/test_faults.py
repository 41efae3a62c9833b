"""What refusals mean, in the API server's own words."""

import pytest

from scalingsweep_operator.faults import Refused

FULL = (
    'jobs.batch "small-prepare" is forbidden: exceeded quota: few, requested: count/jobs.batch=1, '
    "used: count/jobs.batch=4, limited: count/jobs.batch=4"
)
UNCOUNTED = 'jobs.batch "small" is forbidden: status unknown for quota: few, resources: pods'
POLICY = 'jobs.batch "small" is forbidden: ValidatingAdmissionPolicy "p" denied request: no'
WRONG = 'Job in version "v1" cannot be handled: strict decoding error: unknown field "spec.x"'


@pytest.mark.parametrize(
    ("code", "words", "by_quota", "permanent"),
    [
        (403, FULL, True, False),
        (403, UNCOUNTED, True, False),
        (403, POLICY, False, False),
        (422, POLICY, False, True),
        (400, WRONG, False, True),
        (413, "Request entity too large: limit is 3145728", False, True),
        (422, f"a name that says {FULL}", False, True),
    ],
)
def test_what_passes_and_what_does_not(
    code: int, words: str, by_quota: bool, permanent: bool
) -> None:
    refused = Refused(words, code=code)
    assert (refused.by_quota, refused.permanent) == (by_quota, permanent)
