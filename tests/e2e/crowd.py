"""People at once: threads that ask a server until they are told to stop, or until there is nothing left to ask."""
import http.client
import json
import threading
import urllib.parse

TIMEOUT_S = 300


class Client:
    """Keeps one connection."""

    def __init__(self, url, timeout_s=TIMEOUT_S):
        self._connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=timeout_s)

    def _answer(self, method, path, body=None):
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return text

    def get(self, path):
        return json.loads(self.get_text(path))

    def get_text(self, path):
        return self._answer("GET", path)

    def post(self, path, **body):
        """The answer's body; fails for any status but 200."""
        return self._answer("POST", path, json.dumps(body))


class Crowd:
    """`with Crowd(count, arrive) as crowd:` has `count` people there; each is a callable, arrive(number), that is called over and over with an
    event that is set when they are to stop. crowd.answered counts the calls."""

    def __init__(self, count, arrive):
        self.answered = 0
        self._arrive = arrive
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._stay, args=(number,)) for number in range(count)]

    def _stay(self, number):
        ask = self._arrive(number)
        while not self._stop.is_set():
            ask(self._stop)
            with self._lock:
                self.answered += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def share(items, people, arrive):
    """What ask(item) gives for each item, in their order, asked by `people` at once; ask = arrive() for each of them."""
    found, left, lock = {}, list(enumerate(items)), threading.Lock()

    def work():
        ask = arrive()
        while True:
            with lock:
                if not left:
                    return
                number, item = left.pop(0)
            found[number] = ask(item)

    threads = [threading.Thread(target=work) for _ in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(items), f"{len(items) - len(found)} of {len(items)} requests failed"
    return [found[number] for number in range(len(items))]
