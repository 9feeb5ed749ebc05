import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as t
from tinygrad_lite import threads

MUCH = 1e9


@pytest.fixture
def three_threads():
    t.set_num_threads(3)
    yield
    t.set_num_threads(1)


@pytest.fixture
def blas_with_two_threads(monkeypatch):
    monkeypatch.setattr(threads.one_blas_thread, "single_until", 0.0)
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        yield


def blas_threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(1, 5), st.sampled_from([0.0, 5e6, MUCH]))
def test_runs_make_up_the_range_in_order_and_begin_at_multiples_of_the_unit(n, unit, cost):
    t.set_num_threads(3)
    runs = threads.in_runs(lambda start, stop: (start, stop), n, cost, unit)
    t.set_num_threads(1)
    assert [i for start, stop in runs for i in range(start, stop)] == list(range(n))
    assert all(start % unit == 0 for start, _ in runs)


def test_each_run_has_a_thread_of_its_own(three_threads):
    meet = threading.Barrier(3, timeout=10)
    names = threads.in_runs(lambda *_: meet.wait() >= 0 and threading.current_thread().name, 3, MUCH)
    assert len(set(names)) == 3


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(1, 9), st.sampled_from([0.0, 2e7, MUCH]))
def test_blocks_that_threads_draw_make_up_the_range_and_are_as_long_but_for_the_last(n, longest, cost):
    t.set_num_threads(3)
    drawn = threads.over_blocks(list, n, longest, cost)
    t.set_num_threads(1)
    blocks = sorted((block for own in drawn for block in own), key=lambda block: block.start)
    assert [i for block in blocks for i in range(block.start, block.stop)] == list(range(n))
    assert len({block.stop - block.start for block in blocks[:-1]}) <= 1
    assert all(0 < block.stop - block.start <= longest for block in blocks)


def test_a_thread_that_must_wait_leaves_blocks_to_the_others(three_threads):
    all_but_two = threading.Semaphore(0)

    def work(blocks):
        first = next(blocks)
        if first.start < 2:  # two of the threads come no further until the third has done the rest
            assert all_but_two.acquire(timeout=10)
            return [first]
        others = [first, *blocks]
        all_but_two.release(2)
        return others

    assert sorted(map(len, threads.over_blocks(work, 9, 1, MUCH))) == [1, 1, 7]


@pytest.mark.parametrize(
    ("n", "longest", "sharing", "length"),
    [(0, 3, 1, 1), (7, 3, 1, 3), (9, 4, 1, 3), (9, 100, 1, 9), (12, 6, 2, 6), (10, 4, 2, 3), (9, 100, 2, 5)],
)
def test_blocks_are_equal_and_as_many_for_each_of_those_who_share_them(n, longest, sharing, length):
    assert threads.equal_length(n, longest, sharing) == length


def test_each_thread_gets_a_block_even_where_one_could_hold_all(three_threads):
    meet = threading.Barrier(3, timeout=10)
    drawn = threads.over_blocks(lambda blocks: [next(blocks), meet.wait()][:1], 9, 100, MUCH)
    assert sorted(block.start for (block,) in drawn) == [0, 3, 6]


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_terms_are_added_for_all_blocks(number, n):
    t.set_num_threads(number)
    total = threads.sum_over_blocks(lambda blocks: (np.arange(8)[b].sum() for b in blocks), n, 2, MUCH)
    t.set_num_threads(1)
    assert total == sum(range(n))


def test_a_sum_is_the_same_however_late_a_thread_is(three_threads):
    values = np.array([1e8, 1, -1e8, 1, 1e8, 1], "float32")

    def sum_with_late(run):
        def terms(blocks):
            for block in blocks:
                time.sleep(0.01 * (block.start == 2 * run))
                yield values[block].sum()

        return threads.sum_over_blocks(terms, 6, 1, MUCH)

    assert len({sum_with_late(run) for run in range(3)}) == 1


@pytest.mark.parametrize("threads_that_start", [0, 1])
def test_without_more_threads_the_thread_that_asks_does_all_the_work(monkeypatch, threads_that_start):
    t.set_num_threads(4)  # and so a new pool
    left, start = iter(range(threads_that_start)), threading.Thread.start

    def start_or_fail(thread):
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_fail)
    done = []

    def work(blocks):
        for block in blocks:
            time.sleep(0.01)
            done.append(block.start)

    threads.over_blocks(work, 12, 1, MUCH)
    t.set_num_threads(1)
    assert sorted(done) == list(range(12))


def test_after_an_error_here_no_helper_writes_any_more(three_threads):
    running, written = threading.Event(), []

    def work(start, stop):
        if start == 0:
            running.wait(timeout=10)
            raise ZeroDivisionError
        running.set()
        time.sleep(0.05)
        written.append(start)

    with pytest.raises(ZeroDivisionError):
        threads.in_runs(work, 3, MUCH)
    before = list(written)
    time.sleep(0.1)
    assert written == before != []


def test_what_no_helper_has_begun_is_done_by_the_thread_that_asks(three_threads):
    leave = threading.Event()
    busy = [threads._pool(2).submit(leave.wait, timeout=10) for _ in range(2)]
    names = threads.in_runs(lambda *_: threading.current_thread().name, 3, MUCH)
    assert names == [threading.current_thread().name] * 3
    assert not any(job.done() for job in busy)
    leave.set()


def test_what_consists_of_many_calls_is_shared_only_if_it_is_much_more(three_threads):
    cost = 2 * threads.WORTH
    assert len(threads.in_runs(lambda *run: run, 9, cost)) == 2
    assert len(threads.over_blocks(list, 9, 1, cost)) == 1
    assert len(threads.over_blocks(list, 9, 1, cost * threads.CALLS)) == 2


def test_little_work_stays_in_the_thread_that_asks(three_threads):
    assert len(threads.in_runs(lambda *run: run, 100, threads.WORTH)) == 1


def test_blas_has_one_thread_inside_and_its_own_afterwards(three_threads, blas_with_two_threads):
    assert threads.in_runs(lambda *_: max(blas_threads()), 3, MUCH) == [1, 1, 1]
    assert max(blas_threads()) == 2


def test_blas_has_its_own_threads_again_after_an_error(three_threads, blas_with_two_threads):
    with pytest.raises(ZeroDivisionError):
        threads.in_runs(lambda start, stop: 1 // start, 3, MUCH)
    assert max(blas_threads()) == 2


def test_an_error_in_a_helper_comes_out(three_threads):
    with pytest.raises(ValueError, match="from 2"):
        threads.in_runs(lambda start, stop: fail_from(start), 3, MUCH)


def fail_from(start):
    if start == 2:
        raise ValueError("from 2")


def test_helpers_heed_the_callers_errstate(three_threads):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        threads.in_runs(lambda start, stop: np.ones(1) / (stop - 3), 3, MUCH)


def test_users_of_one_blas_limit_do_not_undo_each_other(blas_with_two_threads):
    with threads.one_blas_thread:
        with threads.one_blas_thread:
            pass
        assert max(blas_threads()) == 1
    assert max(blas_threads()) == 2


def test_a_kernel_that_is_decorated_has_one_blas_thread(blas_with_two_threads):
    assert max(threads.one_blas_thread(blas_threads)()) == 1
    assert max(blas_threads()) == 2


def test_that_blas_has_one_thread_is_believed_for_a_moment_only(monkeypatch):
    monkeypatch.setattr(threads, "LOOK_AGAIN", 0)
    monkeypatch.setattr(threads.one_blas_thread, "single_until", 0.0)
    with threads.one_blas_thread:
        pass
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"), threads.one_blas_thread:
        assert max(blas_threads()) == 1


def test_the_number_of_threads_can_be_set_and_leaves_blas_alone(blas_with_two_threads):
    t.set_num_threads(3)
    assert (t.num_threads(), max(blas_threads())) == (3, 2)
    t.set_num_threads(1)
    assert (t.num_threads(), max(blas_threads())) == (1, 2)


def test_by_default_there_are_as_many_threads_as_blas_has(monkeypatch, blas_with_two_threads):
    monkeypatch.setattr(threads, "_chosen", None)
    assert t.num_threads() == 2


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="set_num_threads: needs at least 1; got 0"):
        t.set_num_threads(0)


def test_runs_within_a_run_are_one_that_has_all_the_work(three_threads):
    def outer(*_):
        return threads.in_runs(lambda *run: run, 9, MUCH)

    assert threads.in_runs(outer, 3, MUCH) == [[(0, 9)]] * 3
    assert len(threads.in_runs(lambda *_: 0, 3, MUCH)) == 3


WHEN_PYTHON_ENDS = """
import threading, time, numpy as np, tinygrad_lite as t
t.set_num_threads(2)
def late():
    time.sleep(0.3)  # the main thread has ended
    a = t.Tensor(np.ones((600, 600)))
    print((a @ a).shape)
threading.Thread(target=late).start()
"""


def test_operations_go_on_when_the_main_thread_has_ended():
    command = [sys.executable, "-c", WHEN_PYTHON_ENDS]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("(600, 600)\n", "")


FORKED_INSIDE = """
import os, threading, threadpoolctl
from tinygrad_lite import threads
threadpoolctl.threadpool_limits(2, user_api="blas")
entered, leave = threading.Event(), threading.Event()
def other():
    with threads.one_blas_thread, threads.one_blas_thread.lock:
        entered.set()
        leave.wait()
threading.Thread(target=other).start()
entered.wait()
if os.fork() == 0:
    with threads.one_blas_thread:
        pass
    print(max(library.get_num_threads() for library in threads.one_blas_thread.libraries()), flush=True)
    os._exit(0)
os.wait()
leave.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_process_forked_while_a_kernel_runs_is_not_held_by_it():
    command = [sys.executable, "-c", FORKED_INSIDE]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.stdout == "2\n"


@pytest.mark.parametrize("n", [2.5, 2.0, "two", None])
def test_what_is_no_number_of_threads_is_refused(n):
    with pytest.raises(TypeError, match="set_num_threads: needs an integer of at least 1; got"):
        t.set_num_threads(n)


AFTER_A_FORK = """
import os, tinygrad_lite
from tinygrad_lite import threads
tinygrad_lite.set_num_threads(2)
print(threads.in_runs(lambda *run: run, 2, 1e9), flush=True)
if os.fork() == 0:
    print(threads.in_runs(lambda *run: run, 2, 1e9), flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_gets_threads_of_its_own():
    result = subprocess.run([sys.executable, "-c", AFTER_A_FORK], capture_output=True, text=True, timeout=60)
    assert result.stdout.splitlines() == ["[(0, 1), (1, 2)]"] * 2
