"""The end of a sweep: observations, laws and the report, from what trials left in S3."""
