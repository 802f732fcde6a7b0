#!/usr/bin/env python3
"""OpenAI's own Python client, as its users write with it, on a real router with CPU ranks and the bundled chat model.

usage: openai_client.py --bin-dir build/host/bin   (in an environment that has the package openai)
"""
import argparse
import asyncio
import json
import pathlib
import sys
import unittest

import openai

from cluster import Cluster

KEY = "open-sesame"
ASK = [{"role": "user", "content": "What is the sum of 21 and 95?"}]
MODEL = "regatta-dense"
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}, "shade": {"enum": [1, 2, 3]}},
          "required": ["colour", "shade"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "paint", "description": "Paints.", "parameters": COLOUR}}
options = None


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(options.bin_dir)
        cls.client = openai.OpenAI(base_url=cls.cluster.url + "/v1", api_key=KEY, timeout=30, max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.cluster.close()

    def chat(self, messages=None, **fields):
        return self.client.chat.completions.create(model=MODEL, messages=messages or ASK, temperature=0, **fields)

    def test_lists_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], [MODEL])
        self.assertEqual(self.client.models.retrieve(MODEL).owned_by, "regatta")

    def test_whole_answer(self):
        answer = self.chat()
        self.assertEqual(answer.choices[0].message.content, "116")
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_stream(self):
        chunks = list(self.chat(stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), "116")
        self.assertEqual([c.choices[0].finish_reason for c in chunks if c.choices][-1], "stop")
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)
        with self.client.chat.completions.stream(model=MODEL, messages=ASK, temperature=0) as stream:
            self.assertEqual(stream.get_final_completion().choices[0].message.content, "116")

    def test_many_at_once(self):
        async def ask_all():
            async with openai.AsyncOpenAI(base_url=self.cluster.url + "/v1", api_key=KEY, timeout=60) as client:
                async def ask(a, b):
                    stream = await client.chat.completions.create(
                        model=MODEL, messages=[{"role": "user", "content": f"What is {a} + {b}?"}], temperature=0, stream=True)
                    return "".join([c.choices[0].delta.content or "" async for c in stream])
                return await asyncio.gather(*(ask(a, 38) for a in range(20, 52)))
        self.assertEqual(asyncio.run(ask_all()), [str(a + 38) for a in range(20, 52)])

    def test_log_probabilities(self):
        tokens = self.chat(logprobs=True, top_logprobs=3).choices[0].logprobs.content
        self.assertEqual("".join(t.token for t in tokens[:3]), "116")
        for token in tokens:
            self.assertEqual(len(token.top_logprobs), 3)
            self.assertAlmostEqual(token.top_logprobs[0].logprob, token.logprob)

    def test_completion(self):
        answer = self.client.completions.create(model=MODEL, prompt=["1, 2, 3", "4, 5"], max_tokens=4, temperature=0, n=1, logprobs=2)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1])
        self.assertTrue(all(choice.logprobs.tokens for choice in answer.choices))

    def test_structured_output(self):
        schema = {"type": "json_schema", "json_schema": {"name": "colour", "schema": COLOUR, "strict": True}}
        answer = json.loads(self.chat(response_format=schema, max_completion_tokens=200).choices[0].message.content)
        self.assertIn(answer["colour"], ("red", "blue"))
        self.assertIn(answer["shade"], (1, 2, 3))

    def test_tools(self):
        for choice in ("required", {"type": "function", "function": {"name": "paint"}}):
            call, = self.chat(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False, max_completion_tokens=200).choices[0].message.tool_calls
            self.assertEqual(call.function.name, "paint")
            self.assertIn(json.loads(call.function.arguments)["colour"], ("red", "blue"))
        answered = [*ASK, {"role": "assistant", "tool_calls": [call.model_dump()]},
                    {"role": "tool", "tool_call_id": call.id, "content": "done"}]
        self.assertIsInstance(self.chat(answered).choices[0].message.content, str)

    def test_errors_are_the_clients_own(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.chat.completions.create(model="nobody", messages=ASK)
        with self.assertRaises(openai.BadRequestError) as refused:
            self.chat(top_p=7)
        self.assertEqual(refused.exception.param, "top_p")
        keys = self.cluster.folder / "keys"
        keys.write_text(KEY + "\n")
        with Cluster(options.bin_dir, arguments=("--api-key-file", str(keys))) as locked:
            good, bad = (openai.OpenAI(base_url=locked.url + "/v1", api_key=key, max_retries=0) for key in (KEY, "no"))
            self.assertEqual(len(good.models.list().data), 1)
            with self.assertRaises(openai.AuthenticationError):
                bad.models.list()


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args()
    print(f"openai {openai.__version__}")
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
