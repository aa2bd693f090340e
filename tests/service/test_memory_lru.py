"""MemoryLru: what a worker keeps in memory stays within its bound."""

from concurrent.futures import ThreadPoolExecutor

from wsi_streamer.service.memory_lru import LARGEST_PART, MemoryLru


def test_a_value_comes_back_until_it_is_taken():
    lru = MemoryLru[str, str](100)
    lru.put("a", "one", 5)
    assert (lru.get("a"), lru.get("b")) == ("one", None)
    assert (lru.pop("a"), lru.pop("a"), len(lru)) == ("one", None, 0)


def test_memory_stays_bounded_and_what_is_used_stays():
    lru = MemoryLru[int, int](100)
    for number in range(1000):
        lru.put(number, number, 10)
        lru.get(0)
    assert len(lru) == 10
    assert lru.get(0) == 0
    assert lru.get(999) == 999
    assert lru.get(500) is None


def test_a_value_that_is_replaced_is_counted_once():
    lru = MemoryLru[str, int](80)
    for number in range(100):
        lru.put("a", number, 10)
        lru.put("b", number, 5)
    assert (lru.get("a"), lru.get("b"), len(lru)) == (99, 99, 2)


def test_one_huge_value_does_not_push_out_all_others():
    lru = MemoryLru[str, str](80)
    lru.put("small", "kept", 5)
    lru.put("huge", "left out", 80 // LARGEST_PART + 1)
    assert (lru.get("small"), lru.get("huge")) == ("kept", None)


def test_a_size_of_0_switches_it_off():
    lru = MemoryLru[str, str](0)
    lru.put("a", "b", 1)
    assert lru.get("a") is None


def test_threads_do_not_lose_count():
    lru = MemoryLru[int, int](1000)

    def use(seed: int) -> None:
        for number in range(3000):
            key = (number * seed) % 217
            lru.put(key, key, key % 7 + 1)
            lru.pop((key + 1) % 217)
            lru.get(key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, [1, 3, 5, 11]))
    for key in range(217):
        lru.pop(key)
    for number in range(100):
        lru.put(number, number, 10)
    assert len(lru) == 100
