"""Distributions of Cloud Monitoring: bounds and counts, of which the API leaves empty ones at the end out."""

from functions.admin.figures import cloud


def series(*counts: list[int]) -> cloud.Series:
    options = {"exponentialBuckets": {"numFiniteBuckets": 3, "growthFactor": 2, "scale": 1}}
    return {
        "points": [
            {"value": {"distributionValue": {"bucketOptions": options, "bucketCounts": [str(each) for each in point]}}}
            for point in counts
        ]
    }


def test_three_finite_buckets_have_four_bounds_and_lie_between_two_open_ones() -> None:
    assert cloud._buckets(series([1, 2, 3, 4, 5])) == ([1, 2, 4, 8], [1, 2, 3, 4, 5])


def test_empty_buckets_that_are_left_out_count_nothing_and_points_add_up() -> None:
    assert cloud._buckets(series([1, 2])) == ([1, 2, 4, 8], [1, 2, 0, 0, 0])
    assert cloud._buckets(series([1, 2], [0, 3, 0, 0, 7])) == ([1, 2, 4, 8], [1, 5, 0, 0, 7])
