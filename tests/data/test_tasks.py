from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satfl_env.data import Task, common_alphabet, label_pmf, task_labels

IS_TWO = Task("is it a 2", (2,))
ONE_OR_TWO = Task("1 or 2", (1, 2))
IS_SIX = Task("is it a 6", (6,))


def test_task_labels_by_hand() -> None:
    labels = np.array([0, 1, 2, 6, 2, 9])
    np.testing.assert_array_equal(task_labels(IS_TWO, labels), [1, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(task_labels(ONE_OR_TWO, labels), [2, 0, 1, 2, 1, 2])
    np.testing.assert_array_equal(task_labels(Task("turned", (6, 0)), labels), [1, 2, 2, 0, 2, 2])
    assert task_labels(IS_TWO, labels).dtype == np.int64
    assert (IS_TWO.num_outputs, ONE_OR_TWO.num_outputs) == (2, 3)


def test_task_labels_of_no_sample_are_empty() -> None:
    assert task_labels(IS_TWO, np.array([], dtype=np.int64)).shape == (0,)


def test_pmfs_over_the_alphabet_of_the_three_mnist_tasks_by_hand() -> None:
    alphabet = common_alphabet([IS_TWO, ONE_OR_TWO, IS_SIX])
    labels = np.array([1, 2, 2, 2, 6, 0, 0, 3, 4, 5])
    assert alphabet == (1, 2, 6)
    np.testing.assert_allclose(label_pmf(IS_TWO, labels, alphabet), [0, 0.3, 0, 0.7])
    np.testing.assert_allclose(label_pmf(ONE_OR_TWO, labels, alphabet), [0.1, 0.3, 0, 0.6])
    np.testing.assert_allclose(label_pmf(IS_SIX, labels, alphabet), [0, 0, 0.1, 0.9])


def test_pmf_follows_identities_whatever_the_order_of_classes() -> None:
    labels = np.array([1, 2, 2, 6])
    turned = Task("2 or 1", (2, 1))
    np.testing.assert_array_equal(label_pmf(ONE_OR_TWO, labels, (6, 2, 1)), label_pmf(turned, labels, (6, 2, 1)))
    np.testing.assert_array_equal(label_pmf(turned, labels, (6, 2, 1)), [0, 0.5, 0.25, 0.25])


@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=80),
    classes=st.lists(st.integers(0, 9), min_size=1, max_size=10, unique=True),
)
def test_pmf_agrees_with_counting_one_by_one(labels: list[int], classes: list[int]) -> None:
    pmf = label_pmf(Task("any", tuple(classes)), np.array(labels), range(10))
    expected = [labels.count(letter) / len(labels) if letter in classes else 0 for letter in range(10)]
    np.testing.assert_allclose(pmf, [*expected, sum(x not in classes for x in labels) / len(labels)])
    assert pmf.sum() == pytest.approx(1)


def test_errors_name_the_field_and_the_value() -> None:
    for classes in ((), (1, 1), (-1, 2)):
        with pytest.raises(ValueError, match="classes of task 'bad'"):
            Task("bad", classes)
    with pytest.raises(ValueError, match="labels of task 'is it a 2': empty"):
        label_pmf(IS_TWO, np.array([], dtype=np.int64), (2,))
    with pytest.raises(ValueError, match=r"alphabet: \(1, 6\) lacks \[2\]"):
        label_pmf(ONE_OR_TWO, np.array([1]), (1, 6))
