"""Turns what botocore raises into our errors, in one place, so that each says what to do next."""

from typing import TYPE_CHECKING

from scalingsweep.errors import ScalingSweepError, SpecError, TransientError

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


class Missing(ScalingSweepError):  # noqa: N818 - read as `except store.Missing`: an answer, no fault
    """There is no object under that key."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address}: there is no such object")
        self.address = address


_DENIED = {
    "AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken",
    "SignatureDoesNotMatch", "TokenRefreshRequired", "401", "403",
}  # fmt: skip
_REGION = {
    "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect",
    "301",
}  # fmt: skip
_LATER = {
    "InternalError", "OperationAborted", "ConditionalRequestConflict", "RequestTimeout", "SlowDown",
    "ServiceUnavailable", "Throttling", "ThrottlingException",
    "TooManyRequestsException", "429", "500", "502", "503", "504",
}  # fmt: skip


def translate(
    error: Exception, *, address: str, endpoint: str | None, field: str, trusted: bool = False
) -> Exception:
    """What to raise instead of `error`.

    Args:
        error: what boto3 raised.
        address: `s3://bucket/key` of the request.
        endpoint: the location's endpoint, None for AWS.
        field: where the manifest gives the location: `spec.storage.s3`.
        trusted: whether the location was found right before (`Patience.trusted`).

    Returns:
        Missing, SpecError or TransientError; `error` itself when it is a bug of ours.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as boto

    at = endpoint or "AWS"
    if isinstance(error, Boto3Error) and isinstance(
        error.__context__, boto.BotoCoreError | boto.ClientError
    ):
        error = error.__context__  # the transfer manager wraps the answer that tells what is wrong
    if isinstance(error, boto.ClientError):
        if error.response.get("Error", {}).get("Code") == "RequestTimeTooSkewed":
            return _skewed(at, field, trusted=trusted)
        if trusted and _is_wordless(error):
            return TransientError(f"{address}: an answer of {at} was cut short; try again")
        return _refusal(error, address, at, field)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return SpecError(
            f"{field}.credentialsSecret",
            f"no credentials for {at}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "(on a cluster, the Secret or service account that holds them)",
        )
    if isinstance(error, boto.SSLError):
        return SpecError(
            f"{field}.endpoint",
            f"{at} has a certificate that is not trusted; point AWS_CA_BUNDLE at its authority's",
        )
    unresolved = isinstance(error, boto.EndpointConnectionError) and "resolve" in str(
        error.kwargs.get("error")
    )
    if unresolved and not trusted:
        return SpecError(f"{field}.endpoint", f"no machine answers to the name in {at}; correct it")
    if isinstance(error, boto.ParamValidationError):
        return SpecError(f"{field}.bucket", f"{address} is no valid S3 address; correct the name")
    if isinstance(error, boto.BotoCoreError | Boto3Error | OSError):
        return TransientError(f"{address}: {at} does not answer ({_one_line(error)}); try again")
    return error


def _is_wordless(error: "ClientError") -> bool:
    """Whether a refusal lacks the words that S3 always gives, except to HEAD."""
    code = error.response.get("Error", {}).get("Code", "")
    return code.isdigit() and not error.operation_name.startswith("Head")


def _skewed(at: str, field: str, *, trusted: bool) -> ScalingSweepError:
    """Clocks part while a study runs, too, and are set again: then it is waited for."""
    words = f"the clocks of this machine and of {at} differ by more than it takes: set them right"
    return TransientError(words) if trusted else SpecError(f"{field}.endpoint", words)


def _refusal(error: "ClientError", address: str, at: str, field: str) -> ScalingSweepError:
    told = error.response.get("Error", {})
    code, words = told.get("Code", ""), told.get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    bucket = address.removeprefix("s3://").partition("/")[0]
    if code in {"NoSuchKey", "NoSuchUpload"} or (
        code == "404" and error.operation_name == "HeadObject"
    ):
        return Missing(address)
    if code == "NoSuchBucket":
        return SpecError(f"{field}.bucket", f"{at} has no bucket {bucket!r}; create or correct it")
    if code == "InvalidBucketName":
        return SpecError(
            f"{field}.bucket", f"{bucket!r} is no bucket name that {at} takes; correct it"
        )
    if code in _DENIED:
        return SpecError(
            f"{field}.credentialsSecret",
            f"{at} refuses {error.operation_name} on {address} ({code}); check the credentials "
            "in AWS_* and what they may do with this bucket",
        )
    if code in _REGION:
        return SpecError(
            f"{field}.region", f"{at} says that {bucket!r} is elsewhere ({words or code})"
        )
    if code == "NotImplemented":
        return SpecError(
            f"{field}.endpoint",
            f"{at} does not know {error.operation_name} as we need it ({words}): "
            "use an S3 server that honours If-None-Match",
        )
    if code in _LATER or status >= 500:
        return TransientError(f"{address}: {at} answered {code} ({words}); try again later")
    if status in {404, 405} or not words:
        return SpecError(f"{field}.endpoint", f"{at} does not answer like S3 ({code}); correct it")
    return SpecError(field, f"{at} refuses {error.operation_name} on {address}: {code}, {words}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
