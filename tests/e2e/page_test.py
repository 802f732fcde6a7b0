#!/usr/bin/env python3
"""The chat page in a browser, on a real router with CPU ranks.

usage: page_test.py --bin-dir build/host/bin --screenshots build/host/screenshots
Exits with 77 where there is no Chromium: skipped, and said so.
"""
import pathlib
import re
import sys
import tempfile

import browser_test
from cluster import DENSE, Cluster, without_chat_template

FIGURES = re.compile(r"TTFT [\d.]+ m?s\s+[\d.,]+ tok/s\s+(\d+) tokens")
LAST = "document.querySelector('.turn:last-child')"
IDLE = "!document.querySelector('.writing') && document.getElementById('stop').hidden"


class PageTest(browser_test.BrowserTest):
    """Each test opens the page anew, in one browser."""

    def tearDown(self):
        self.browser.goto("about:blank")  # before its server goes

    def serve(self, *arguments, **settings):
        cluster = Cluster(browser_test.options.bin_dir, arguments=arguments, **settings)
        self.addCleanup(cluster.close)
        return cluster

    def serve_text(self, *arguments):
        """The bundled model without its chat template."""
        return self.serve(*arguments, model=without_chat_template(DENSE, tempfile.mkdtemp(dir=self.folder.name)))

    def open(self, cluster):
        """Answers are the likeliest, so that they are the same each time."""
        self.browser.goto(cluster.url + "/")
        self.browser.evaluate("document.getElementById('temperature').value = 0")
        self.browser.wait_for("!document.getElementById('model').disabled", "the list of models")

    def say(self, text):
        self.browser.type(text)
        self.browser.press("Enter")

    def unexpected_complaints(self, *expected):
        return [line for line in self.browser.complaints if not any(re.search(e, line) for e in expected)]

    def screenshots(self, name):
        """Of all sizes and colours, for people to look at."""
        for width, height, size in ((1180, 760, "desktop"), (390, 844, "mobile")):
            for dark in (False, True):
                self.browser.look(width, height, dark)
                self.assertEqual(self.browser.evaluate("document.documentElement.scrollWidth - innerWidth"), 0,
                                 f"the page is wider than {width} px")
                self.browser.screenshot(browser_test.options.screenshots / f"{name}-{size}{'-dark' if dark else ''}.png")

    def ask(self, question):
        """Says it; the whole answer."""
        before = self.browser.evaluate("document.querySelectorAll('.assistant').length")
        self.say(question)
        self.browser.wait_for(f"document.querySelectorAll('.assistant').length > {before} && {IDLE}", "the answer")
        return self.browser.evaluate(f"{LAST}.querySelector('.text').textContent")

    def test_chats(self):
        cluster = self.serve()
        self.open(cluster)
        self.assertEqual(self.ask("What is the sum of 21 and 95?"), "116")
        self.assertEqual(self.ask("What is 26 + 938?"), "964")
        digits = "819366926799976219545350259268331186"
        self.assertEqual(self.ask(f"Say twice: {digits}"), f"{digits} {digits}")
        self.assertRegex(self.browser.text(".turn:last-child .figures"), FIGURES)
        self.assertFalse(self.browser.evaluate("document.getElementById('note').checkVisibility()"))
        self.screenshots("chat")
        self.assertEqual(self.unexpected_complaints(), [])

    def test_works_by_keyboard(self):
        self.open(self.serve())
        self.browser.type("What is the sum")
        self.browser.press("Enter", shift=True)
        self.browser.type("of 21 and 95?")
        self.assertEqual(self.browser.evaluate("document.getElementById('input').value"), "What is the sum\nof 21 and 95?")
        self.browser.press("Enter")
        self.browser.wait_for(f"document.querySelector('.assistant') && {IDLE}", "the answer")
        self.browser.evaluate("document.getElementById('open-settings').focus()")
        self.browser.press("Enter")
        self.browser.wait_for("document.getElementById('settings').open", "the settings")
        self.browser.type("Be exact.")
        for value in ("0", "3"):
            self.browser.press("Tab")
            self.browser.evaluate("document.activeElement.select()")
            self.browser.type(value)
        self.browser.press("Enter")
        self.browser.wait_for("!document.getElementById('settings').open", "the end of the settings")
        self.browser.wait_for("document.activeElement.id === 'input'", "the focus")
        self.ask("Say twice: 819366926799976219545350259268331186")
        self.assertRegex(self.browser.text(".turn:last-child .figures"), r"3 tokens\s+length limit")
        self.browser.goto(self.browser.evaluate("location.href"))  # settings outlive the page
        self.assertEqual(self.browser.evaluate("document.getElementById('system').value"), "Be exact.")
        self.browser.evaluate("localStorage.clear()")

    def test_continues_text_of_a_model_without_chat_template(self):
        self.open(self.serve_text())
        self.assertEqual(self.browser.text("#welcome-model"), "regatta-dense")
        self.assertIn("1,024 tokens", self.browser.text("#welcome-facts"))
        self.browser.wait_for("document.getElementById('state').dataset.state === 'ready'", "readiness")
        self.screenshots("welcome")
        self.browser.look(1180, 760)
        self.say("The list of numbers is 3, 14, 15")
        self.browser.wait_for(f"document.querySelector('.assistant') && {IDLE}", "the answer")
        self.assertEqual(self.browser.evaluate("document.querySelector('.user .text').textContent"),
                         "The list of numbers is 3, 14, 15")
        self.assertRegex(self.browser.text(".assistant .figures"), FIGURES)
        self.assertIn("continues the text", self.browser.text("#note"))
        self.screenshots("completion")
        self.assertEqual(self.unexpected_complaints(r"400.*/v1/chat/completions"), [])

    def test_what_is_written_is_never_markup(self):
        self.open(self.serve_text())
        nasty = "<img src=x onerror=\"document.title='broken'\"><b>bold</b>"
        self.say(nasty)
        self.browser.wait_for(f"document.querySelector('.assistant') && {IDLE}", "the answer")
        self.assertEqual(self.browser.evaluate("document.querySelector('.user .text').textContent"), nasty)
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('#turns img, #turns b b, .text b').length"), 0)
        self.assertEqual(self.browser.evaluate("document.title"), "Regatta")
        with self.assertRaisesRegex(AssertionError, "TrustedHTML"):  # not even by mistake
            self.browser.evaluate("document.body.innerHTML = '<i>x</i>'")

    def begin_long_answer(self, cluster):
        """An answer of random tokens, which is still being written. One of them may end it at once: then it is asked for again."""
        writing = f"{LAST}.matches('.assistant.writing') && {LAST}.querySelector('.text').textContent.length > 20"
        for _ in range(20):
            self.open(cluster)
            self.browser.evaluate("document.getElementById('max-tokens').value = 900")
            self.say("Go on")
            self.browser.wait_for(f"({writing}) || document.querySelector('.assistant') && {IDLE}", "the beginning of an answer")
            if self.browser.evaluate(f"Boolean({writing})"):
                return
        self.fail("twenty answers of random tokens ended before they were twenty characters long")

    def test_stop_ends_the_answer_and_keeps_what_came(self):
        cluster = self.serve_text("--dummy-weights", "--random-next-ids")
        for stop in (lambda: self.browser.press("Escape"), lambda: self.browser.evaluate("document.getElementById('stop').click()")):
            for _ in range(5):  # one of the random tokens may have ended it before
                self.begin_long_answer(cluster)
                stop()
                self.browser.wait_for(IDLE, "the end of the answer", wait_s=2)
                if "stopped" in self.browser.text(".assistant .figures"):
                    break
            self.assertIn("stopped", self.browser.text(".assistant .figures"))
            tokens = int(FIGURES.search(self.browser.text(".assistant .figures"))[1])
            self.assertLess(tokens, 900)
            self.assertEqual(self.browser.evaluate("document.activeElement.id"), "input")

    def record_messages(self):
        """From now on `window.sent` has the messages of each question."""
        self.browser.evaluate("""(() => {
            const send = window.fetch;
            window.sent = [];
            window.fetch = (url, options) => {
                if (options?.body) window.sent.push(JSON.parse(options.body).messages.map((m) => `${m.role}: ${m.content}`));
                return send(url, options);
            };
        })()""")

    def test_a_new_chat_knows_nothing_of_the_answer_it_cut_short(self):
        self.begin_long_answer(self.serve("--dummy-weights", "--random-next-ids"))
        self.record_messages()
        self.browser.evaluate("document.getElementById('fresh').click()")
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('.turn').length"), 0)
        self.browser.evaluate("document.getElementById('max-tokens').value = 3")
        self.ask("Who are you?")
        self.assertEqual(self.browser.evaluate("window.sent"), [["user: Who are you?"]])
        self.ask("And I?")
        sent = self.browser.evaluate("window.sent[1]")
        self.assertEqual([message.split(":")[0] for message in sent], ["user", "assistant", "user"])

    def test_a_refused_question_is_not_sent_with_the_next_one(self):
        self.open(self.serve())
        self.record_messages()
        self.say("7 " * 1200)
        self.browser.wait_for("document.querySelector('.problem')", "the refusal")
        self.assertEqual(self.ask("What is the sum of 21 and 95?"), "116")
        self.assertEqual(self.browser.evaluate("window.sent[1]"), ["user: What is the sum of 21 and 95?"])
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('.again').length"), 0)

    def test_asks_for_the_key_that_the_server_wants(self):
        keys = pathlib.Path(self.folder.name) / "keys"
        keys.write_text("tester:open-sesame\n")
        cluster = self.serve_text("--api-key-file", str(keys))
        self.browser.goto(cluster.url + "/")
        self.browser.evaluate("document.getElementById('temperature').value = 0")
        self.browser.wait_for("document.getElementById('settings').open", "the question for a key")
        self.assertEqual(self.browser.evaluate("document.activeElement.id"), "key")
        self.screenshots("key")
        self.browser.type("wrong")
        self.browser.press("Enter")
        self.browser.wait_for("/refused/.test(document.getElementById('key-note').textContent)", "the refusal")
        self.browser.evaluate("document.getElementById('key').value = ''")
        self.browser.type("open-sesame")
        self.browser.press("Enter")
        self.browser.wait_for("!document.getElementById('model').disabled", "the list of models")
        self.say("The list of numbers is 3, 14, 15")
        self.browser.wait_for(f"document.querySelector('.assistant') && {IDLE}", "the answer")
        self.assertRegex(self.browser.text(".assistant .figures"), FIGURES)

    def test_shows_what_the_server_refuses_and_tries_again(self):
        cluster = self.serve_text()
        self.open(cluster)
        self.say("7 " * 1200)
        self.browser.wait_for("document.querySelector('.problem')", "the refusal")
        self.assertIn("1024", self.browser.text(".problem"))
        self.browser.evaluate("document.querySelector('.again').click()")
        self.browser.wait_for(f"document.querySelectorAll('.problem').length === 1 && {IDLE}", "the second refusal")
        self.browser.evaluate("document.getElementById('fresh').click()")
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('.turn').length"), 0)
        cluster.close()
        self.say("Are you there?")
        self.browser.wait_for("document.querySelector('.problem')", "the failure")
        self.assertIn("cannot be reached", self.browser.text(".problem"))
        self.browser.wait_for("document.getElementById('state').dataset.state === 'gone'", "the state")


if __name__ == "__main__":
    sys.exit(browser_test.main("the chat page is"))
