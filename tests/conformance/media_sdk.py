"""Pictures and films of Jimeng's through OpenAI's official Python SDK, unchanged but for base URL and key."""

import base64
import re
import struct
import threading
import time
import unittest
import zlib
from concurrent.futures import Future

import openai
import requests

from sandbox import BASE_URL, TIMEOUT, UPSTREAM, URL, bearer, calls_of, marker, new_key, seen, upstream, wait_until

PICTURES = "jimeng_t2i_v40"
FILMS = "t2v-720"
SUBMIT = "CVSync2AsyncSubmitTask"
QUERY = "CVSync2AsyncGetResult"
PNG = b"\x89PNG\r\n\x1a\n"
PATIENCE = 90
"""Seconds: longer than the relay lets a caller wait for pictures."""


def setUpModule():
    global KEY, FILM
    KEY = media_key()
    film = requests.get(f"{UPSTREAM}/media/0.mp4?expires=9999999999", timeout=TIMEOUT)
    film.raise_for_status()
    FILM = film.content


def media_key():
    return new_key(scopes=["relay", "jobs"])


def client(api_key=None, **options):
    """The SDK as its README sets it up, with its own two retries unless told otherwise."""
    return openai.OpenAI(base_url=BASE_URL, api_key=api_key or KEY, **{"timeout": TIMEOUT, **options})


def draw(mark, sdk=None, **fields):
    prompt = f"a lighthouse at dusk, {mark}"
    return (sdk or client()).images.generate(**{"model": PICTURES, "prompt": prompt, "size": "1024x1024", **fields})


def film(mark, sdk=None, **fields):
    """Orders a film: 4 seconds of 1280x720 unless `fields` say otherwise."""
    order = {"model": FILMS, "prompt": f"waves, {mark}", "seconds": "4", "size": "1280x720", **fields}
    return (sdk or client()).videos.create(**order)


def finished(order, sdk=None):
    """The film when it is made or has failed."""
    deadline = time.monotonic() + TIMEOUT
    while order.status not in ("completed", "failed"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{order.id} is {order.status} after {TIMEOUT} s")
        time.sleep(0.2)
        order = (sdk or client()).videos.retrieve(order.id)
    return order


def bounded(call):
    """What `call` returns or raises: the SDK's own polling has no end."""
    future = Future()

    def work():
        try:
            future.set_result(call())
        except Exception as cause:
            future.set_exception(cause)

    threading.Thread(target=work, daemon=True).start()
    return future.result(timeout=TIMEOUT)


def first_frame(side=384):
    """A square picture of many colours, large enough to begin a film from."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + bytes(byte for x in range(side) for byte in (x * y % 256, x % 256, y % 256)) for y in range(side)
    )
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Images(unittest.TestCase):
    def test_two_pictures_are_two_submits_and_come_as_links(self):
        mark = marker()

        answer = draw(mark, n=2)

        self.assertEqual(len(answer.data), 2)
        self.assertGreater(answer.created, 1_700_000_000)
        for picture in answer.data:
            fetched = requests.get(picture.url, timeout=TIMEOUT)
            self.assertTrue(fetched.content.startswith(PNG))
        self.assertEqual(calls_of(mark), 2)

    def test_a_picture_comes_in_base64_if_asked_for(self):
        picture = draw(marker(), n=1, response_format="b64_json").data[0]

        self.assertTrue(base64.b64decode(picture.b64_json, validate=True).startswith(PNG))
        self.assertIsNone(picture.url)

    def test_what_the_upstream_refuses_is_a_bad_request_error(self):
        for moment, code in (("at the submit", 50412), ("at the end", 50511)):
            with self.subTest(moment), self.assertRaises(openai.BadRequestError):
                draw(f"{marker()} fail-{code}")

    def test_a_size_that_is_not_in_the_table_is_refused_and_not_sent(self):
        mark = marker()

        with self.assertRaises(openai.BadRequestError):
            draw(mark, size="7x7")

        self.assertEqual(calls_of(mark), 0)

    def test_an_upstream_that_is_slower_than_the_wait_is_paid_once_and_its_job_goes_on(self):
        mark, sdk = marker(), client(timeout=PATIENCE)
        self.assertEqual(sdk.max_retries, 2)

        slow = {"kind": "task", "after_ms": 54_000}
        with upstream(slow, on=SUBMIT), self.assertRaises(openai.APIStatusError) as raised:
            draw(mark, sdk, n=1)

        response = raised.exception.response
        self.assertEqual(response.status_code, 504, response.text)
        self.assertEqual(response.headers["x-should-retry"], "false")
        named = re.search(r"job_[0-9a-f]{32}", response.text)
        self.assertTrue(named, response.text)
        self.assertEqual(calls_of(mark), 1)

        def job():
            answer = requests.get(f"{URL}/v1/jobs/{named[0]}", headers=bearer(KEY), timeout=TIMEOUT)
            answer.raise_for_status()
            return answer.json()

        self.assertEqual(job()["kind"], "images")
        wait_until(lambda: job()["state"] == "succeeded", "the job goes on without its caller")
        self.assertEqual(calls_of(mark), 1)

    def test_a_named_call_that_the_sdk_gives_up_on_is_paid_once_and_answered_by_its_repetition(self):
        mark = marker()

        with upstream({"kind": "task", "after_ms": 3000}, on=SUBMIT):
            answer = draw(mark, client(timeout=2.5), n=1, extra_headers={"Idempotency-Key": mark})

        self.assertEqual(len(answer.data), 1)
        self.assertEqual(calls_of(mark), 1)


class Videos(unittest.TestCase):
    def test_a_film_is_created_polled_and_downloaded(self):
        mark, sdk = marker(), client()

        order = film(mark, sdk)
        self.assertEqual((order.object, order.model, order.seconds, order.size), ("video", FILMS, "4", "1280x720"))
        self.assertIn(order.status, ("queued", "in_progress"))
        self.assertIsNone(order.error)
        made = bounded(lambda: sdk.videos.poll(order.id, poll_interval_ms=200))

        self.assertEqual((made.id, made.status, made.progress), (order.id, "completed", 100), made.error)
        self.assertGreaterEqual(made.completed_at, made.created_at)
        self.assertGreater(made.expires_at, made.completed_at)
        content = sdk.videos.download_content(made.id)
        self.assertEqual(content.response.headers["content-type"], "video/mp4")
        self.assertEqual(content.response.headers["x-content-type-options"], "nosniff")
        self.assertEqual(content.read(), FILM)
        self.assertEqual(FILM[4:8], b"ftyp")
        self.assertEqual(calls_of(mark), 1)

    def test_create_and_poll_waits_for_the_film(self):
        order = {"model": FILMS, "prompt": f"waves, {marker()}", "seconds": "8", "size": "720x1280"}

        made = bounded(lambda: client().videos.create_and_poll(**order))

        self.assertEqual((made.status, made.seconds, made.size), ("completed", "8", "720x1280"))

    def test_every_length_of_the_table_is_taken_and_others_are_not_sent(self):
        orders = {seconds: film(marker(), seconds=seconds) for seconds in ("4", "5", "8", "10")}
        mark = marker()

        for wrong in ("7", "12", "-4", "four"):
            with self.subTest(wrong), self.assertRaises(openai.BadRequestError) as raised:
                film(mark, seconds=wrong)
            self.assertEqual(raised.exception.code, "VALIDATION_FAILED")

        self.assertEqual(calls_of(mark), 0)
        for seconds, order in orders.items():
            made = finished(order)
            self.assertEqual((made.status, made.seconds), ("completed", seconds), made.error)

    def test_a_film_begins_from_a_reference_picture(self):
        mark, picture = marker(), first_frame()

        order = film(mark, model="i2v-first-720", input_reference=("first.png", picture, "image/png"))

        self.assertEqual(finished(order).status, "completed")
        sent = [call for call in seen()["recent"] if call["marker"] == mark]
        self.assertEqual([call["action"] for call in sent], [SUBMIT])
        self.assertGreater(sent[0]["body_bytes"], len(base64.b64encode(picture)))

    def test_the_same_order_is_taken_as_json(self):
        order = {"model": FILMS, "prompt": f"waves, {marker()}", "seconds": "4", "size": "1280x720"}

        answer = requests.post(f"{URL}/v1/videos", headers=bearer(KEY), json=order, timeout=TIMEOUT)

        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(finished(client().videos.retrieve(answer.json()["id"])).status, "completed")

    def test_a_task_that_fails_is_a_failed_film_with_an_error(self):
        mark = marker()

        failed = finished(film(f"{mark} fail-50511"))

        self.assertEqual(failed.status, "failed")
        self.assertTrue(failed.error.code and failed.error.message, failed.error)
        with self.assertRaises(openai.APIStatusError):
            client().videos.download_content(failed.id)
        self.assertEqual(calls_of(mark), 1)

    def test_a_film_whose_link_has_died_is_downloaded_by_a_fresh_one(self):
        with upstream({"kind": "links", "lifetime_ms": 0}, on=QUERY):
            made = finished(film(marker()))

        self.assertEqual(made.status, "completed")
        self.assertEqual(client().videos.download_content(made.id).read(), FILM)

    def test_films_are_listed_page_by_page_and_deleted(self):
        sdk = client(api_key=media_key())
        orders = [film(marker(), sdk).id for _ in range(3)]

        listed = [order.id for order in sdk.videos.list(limit=2)]
        self.assertEqual(sorted(listed), sorted(orders))

        for order in orders:
            finished(sdk.videos.retrieve(order), sdk)
        deleted = sdk.videos.delete(orders[0])
        self.assertEqual((deleted.id, deleted.deleted, deleted.object), (orders[0], True, "video.deleted"))
        with self.assertRaises(openai.NotFoundError):
            sdk.videos.retrieve(orders[0])
        self.assertEqual(sorted(order.id for order in sdk.videos.list()), sorted(orders[1:]))

    def test_nobody_finds_the_film_of_another_key(self):
        order, stranger = film(marker()), client(api_key=media_key())

        for ask in (stranger.videos.retrieve, stranger.videos.download_content, stranger.videos.delete):
            with self.assertRaises(openai.NotFoundError):
                ask(order.id)
        self.assertNotIn(order.id, [other.id for other in stranger.videos.list()])

    def test_a_submit_that_the_upstream_fails_is_not_repeated(self):
        mark = marker()

        with upstream({"kind": "answer", "status": 500}, on=SUBMIT):
            failed = finished(film(mark))

        self.assertEqual(failed.status, "failed")
        self.assertTrue(failed.error)
        self.assertEqual(calls_of(mark), 1)


if __name__ == "__main__":
    # The SDK warns of each of its methods for films.
    unittest.main(verbosity=2, warnings="ignore")
