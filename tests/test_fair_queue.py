"""The queue says who is before whom, and keeps to it."""

from hypothesis import given
from hypothesis import strategies as st

from core.fair_queue import FairQueue


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40))
def test_the_line_says_who_is_before_whom_and_keeps_to_it(steps):
    line, waiting = FairQueue(), []
    for number, (visitor, takes) in enumerate(steps):
        if takes:
            job = line.take()
            if job is not None:
                waiting.remove(job)
        else:
            job = (visitor, number)
            line.put(visitor, job)
            waiting.append(job)
    assert len(line) == len(waiting)
    promised = {job: len(line.before(job[0], job)) for job in waiting}
    taken = [line.take() for _ in waiting]
    assert {job: place for place, job in enumerate(taken)} == promised
    assert line.take() is None


def test_an_owner_who_may_not_is_passed_over_and_keeps_the_place():
    queue = FairQueue()
    for owner, item in (("a", 1), ("a", 2), ("b", 3)):
        queue.put(owner, item)
    assert queue.take(lambda owner: owner != "a") == 3
    assert queue.take(lambda owner: False) is None
    assert (queue.owners(), queue.items(), queue.items_of("b")) == (["a"], [1, 2], [])
    queue.remove("a", 1)
    queue.remove("a", 9)
    queue.remove("nobody", 2)
    assert (queue.take(), queue.take(), len(queue)) == (2, None, 0)
