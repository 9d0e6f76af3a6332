"""The comparison itself is tested: a suite that cannot fail proves nothing."""

import datetime
import unittest

from harness import compare
from harness.known import Known
from harness.placeholders import Bindings, Shapes
from harness.suite import Outcome, Recording

ONE, TWO = "11111111-2222-4333-8444-555555555555", "99999999-2222-4333-8444-555555555555"
OK = {"ResponseMetadata": {"HTTPStatusCode": 200}}


def strict(recorded, answer, bindings=None):
    return compare.strict(recorded, answer, bindings or Bindings())


def lenient(recorded, answer):
    return compare.lenient(recorded, answer, Shapes())


class Placeholders(unittest.TestCase):
    def test_a_number_is_one_value_in_all_steps(self):
        bindings = Bindings()
        self.assertEqual(strict({"a": "<uuid:1>"}, {"a": ONE}, bindings), [])
        self.assertEqual(strict({"a": "<uuid:1>"}, {"a": ONE}, bindings), [])
        self.assertEqual(len(strict({"a": "<uuid:1>"}, {"a": TWO}, bindings)), 1)
        self.assertEqual(len(strict({"a": "<uuid:2>"}, {"a": ONE}, bindings)), 1)
        self.assertEqual(strict({"a": "<uuid:2>"}, {"a": TWO}, bindings), [])

    def test_texts_around_placeholders_count(self):
        arn = "arn:<partition>:lambda:<region>:111111111111:function:<function-name:1>"
        self.assertEqual(strict(arn, "arn:aws:lambda:us-east-1:111111111111:function:f"), [])
        self.assertEqual(len(strict(arn, "arn:aws:lambda:us-east-1:111111111111:function:f:1")), 1)
        self.assertEqual(len(strict(arn, "arn:aws:lambda:eu-west-1:111111111111:function:f")), 1)
        self.assertEqual(strict("'<a:len(3)>'", "'aaa'"), [])
        self.assertEqual(len(strict("'<a:len(3)>'", "'aa'")), 1)

    def test_values_that_the_scenario_chose(self):
        self.assertEqual(strict("not <what>!", "not this!", Bindings({"what": "this"})), [])
        self.assertEqual(len(strict("not <what>!", "not that!", Bindings({"what": "this"}))), 1)

    def test_kinds_have_a_form(self):
        for recorded, value in (("<code-size>", "12"), ("<uuid:1>", "x"), ("date", "soon"), ("<location>", "here")):
            self.assertEqual(len(strict(recorded, value)), 1, recorded)
        now = datetime.datetime.now()
        for recorded, value in (("<code-size>", 12), ("date", now), ("date", "2024-01-02T03:04:05.000+0000")):
            self.assertEqual(strict(recorded, value), [], recorded)


class Comparison(unittest.TestCase):
    def test_absent_and_empty_differ(self):
        for recorded, answer in (({"a": {}}, {}), ({}, {"a": {}}), ({"a": []}, {}), ({"a": None}, {}), ({"a": ""}, {"a": None})):
            self.assertEqual(len(strict(recorded, answer)), 1, recorded)

    def test_values_and_their_types_count(self):
        for recorded, answer in ((1, 2), (1, "1"), (True, 1), ([1, 2], [2, 1]), ([1], [1, 1]), ("a", "b")):
            self.assertEqual(bool(strict({"a": recorded}, {"a": answer})), True, recorded)

    def test_the_status_counts_and_headers_do_not(self):
        recorded = {"ResponseMetadata": {"HTTPHeaders": {"x": "y"}, "HTTPStatusCode": 200, "RequestId": "1"}}
        self.assertEqual(strict(recorded, OK), [])
        other = {"ResponseMetadata": {"HTTPStatusCode": 204}}
        self.assertEqual((len(strict(recorded, other)), len(lenient(recorded, other))), (1, 1))

    def test_json_texts_are_compared_parsed(self):
        self.assertEqual(strict({"p": {"a": [1]}}, {"p": '{"a": [1]}'}), [])
        self.assertEqual(len(strict({"p": {"a": [1]}}, {"p": '{"a": [2]}'})), 1)
        self.assertEqual(strict({"p": '{"a": [1]}'}, {"p": '{"a": [1]}'}), [])

    def test_lenient_lets_messages_and_more_members_pass(self):
        recorded = {"Error": {"Code": "A", "Message": "x"}, "Type": "User", "message": "x", **OK}
        answer = {"Error": {"Code": "A", "Message": "y"}, "Type": "User", "More": 1, **OK}
        self.assertEqual(lenient(recorded, answer), [])
        self.assertEqual(len(strict(recorded, answer)), 3)

    def test_lenient_wants_code_and_members(self):
        recorded = {"Error": {"Code": "A", "Message": "x"}, "Type": "User", **OK}
        self.assertEqual(len(lenient(recorded, {**recorded, "Error": {"Code": "B", "Message": "x"}})), 1)
        self.assertEqual(len(lenient({"a": 1, "b": 2, **OK}, {"a": 1, **OK})), 1)
        self.assertEqual(len(lenient({"message": "x", **OK}, {"message": "y", **OK})), 1)

    def test_success_is_no_error(self):
        error = {"Error": {"Code": "A", "Message": "x"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        for one, other in ((OK, error), (error, OK)):
            self.assertEqual((len(strict(one, other)), len(lenient(one, other))), (1, 1))


class Expectations(unittest.TestCase):
    def outcome(self, strict=(), lenient=(), stopped=None):
        recording = Recording("g/T", "test_a", "p", [])
        return Outcome(recording, {"s": list(strict)}, {"s": list(lenient)}, stopped, {})

    def test_the_list_must_be_true(self):
        none, strict = Known([]), Known([("g/T::test_a[*]", "strict", "why")])
        differs = Known([("g/T::test_a[p]", "differs", "why")])
        passing, close, failing = self.outcome(), self.outcome(["x"]), self.outcome(["x"], ["x"])
        self.assertIsNone(none.unexpected(passing))
        self.assertIsNone(strict.unexpected(close))
        self.assertIsNone(differs.unexpected(failing))
        wrong = [(none, close), (none, failing), (strict, passing), (strict, failing), (differs, passing), (differs, close)]
        for known, outcome in [*wrong, (none, self.outcome(stopped="x")), (strict, self.outcome(stopped="x"))]:
            self.assertIsNotNone(known.unexpected(outcome))

    def test_entries_that_nothing_has_are_named(self):
        known = Known([("g/T::test_a[*]", "strict", "why"), ("g/T::test_b", "strict", "why")])
        self.assertEqual(known.unused(["g/T::test_a[p]"]), ["g/T::test_b"])


if __name__ == "__main__":
    unittest.main()
