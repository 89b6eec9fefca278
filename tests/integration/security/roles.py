"""What each role of docs/security.md does, on a broker that denies by default."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from dicomcast_consumer.__main__ import app as consumer_app
from dicomcast_producer.__main__ import app as producer_app
from dicomcast_runtime.errors import StopError
from typer.testing import CliRunner

from tests.fakes.processes import START_S, Line, eventually
from tests.services.secure_kafka import SecureKafka

__all__ = ["Ended", "Role"]

LISTEN = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: exit code and everything it wrote."""

    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One user on the line."""

    user: str
    kafka: SecureKafka
    line: Line

    @property
    def env(self) -> dict[str, str]:
        return {**self.line.env, **self.kafka.scram_env(self.user)}

    def producer(self, *args: str, **env: str) -> Ended:
        """A command of dicomcast-producer, as this user; `run` as a process."""
        if args[0] == "run":
            with self.line.producer(*args[1:], env=self.env) as running:
                eventually(lambda: running.process.poll() is not None, lambda: running.text)
                return Ended(running.process.wait(30), running.text)
        return self._run(producer_app, args, env)

    def consumer(self, *args: str, **env: str) -> Ended:
        """A command of dicomcast-consumer, as this user; not `run`."""
        return self._run(consumer_app, args, env)

    def ended(self, *args: str, **env: str) -> Ended:
        """A command of dicomcast-consumer that must be a process of its own, for it handles signals."""
        with self.line.started("dicomcast_consumer", *args, env={**self.env, **env}) as running:
            eventually(lambda: running.process.poll() is not None, lambda: running.text)
            return Ended(running.process.wait(30), running.text)

    def page(self) -> Ended:
        """`dicomcast-consumer web`: 64 when the page says that something may not be read."""
        with self.line.started("dicomcast_consumer", "web", env={**self.env, "DICOMCAST_WEB__LISTEN": LISTEN}) as page:
            page.wait_for("http://127.0.0.1:")
            url = page.text[page.text.index("http://127.0.0.1:") :].split()[0]
            texts: list[str] = []

            def seen() -> bool:
                texts[:] = [httpx.get(url).text, httpx.get(f"{url}letters").text]
                return "dicom.changes.v1" in texts[0] and ("does not allow" in texts[0] or "map.patient" in texts[1])

            eventually(seen, lambda: f"{texts}\n{page.text}", page)
            refused = any("does not allow" in text for text in texts)
            return Ended(64 if refused else page.stop(), "\n".join(texts))

    def apply_all(self) -> Ended:
        """`dicomcast-consumer run` until nothing is left to do, or it ends by itself."""
        with self.line.consumer(env=self.env) as member:
            eventually(lambda: self.line.caught_up() or member.process.poll() is not None, lambda: member.text)
            code = member.process.poll()
            return Ended(member.stop() if code is None else code, member.text)

    def read(self, topic: str, group: str) -> list[str | None]:
        """What a reader meets first in a topic: None for a record, else the error's name."""
        consumer = Consumer({**self._client(), "group.id": group, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        try:
            found = consumer.consume(1, 30)
            return [None if (error := item.error()) is None else str(error.name()) for item in found]
        finally:
            consumer.close()

    def may_read(self, topic: str) -> bool:
        """Whether records of the topic are given out, asked without a group."""
        consumer = Consumer({**self._client(), "group.id": "none-of-theirs", "enable.partition.eof": True})
        try:
            unseen = consumer.list_topics(topic, timeout=30).topics[topic].error
            if unseen is not None:  # not even described: the client waits for it without a word
                assert unseen.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
                return False
            consumer.assign([TopicPartition(topic, 0, 0)])
            until = time.monotonic() + START_S
            while time.monotonic() < until:
                item = consumer.poll(1)
                if item is None:
                    continue
                code = None if (error := item.error()) is None else error.code()
                if code != KafkaError.GROUP_AUTHORIZATION_FAILED:  # it has no group, and needs none
                    return code in (None, KafkaError._PARTITION_EOF)
            raise AssertionError(f"{topic}: no answer")
        finally:
            consumer.close()

    def write(self, topic: str) -> str | None:
        """None when a record is accepted, else the error's name."""
        answers: list[str | None] = []
        # A topic that may not be seen is looked for that long, 30 s by default, before its records fail.
        producer = Producer({**self._client(), "topic.metadata.propagation.max.ms": 10_000})
        producer.produce(
            topic, b"x", on_delivery=lambda error, _: answers.append(None if error is None else str(error.name()))
        )
        assert producer.flush(60) == 0
        return answers[0]

    def fence(self, transactional_id: str) -> str | None:
        """None when a transactional producer of this id is let in, else the error's name."""
        producer = Producer({**self._client(), "transactional.id": transactional_id})
        try:
            producer.init_transactions(30)
        except KafkaException as error:
            return str(error.args[0].name())
        return None

    def _client(self) -> dict[str, str | int | float | bool]:
        prefix = "DICOMCAST_KAFKA__"
        own = self.kafka.scram_env(self.user)
        return {"log_level": 0, **{n.removeprefix(prefix).lower().replace("_", "."): v for n, v in own.items()}}

    def _run(self, app: object, args: tuple[str, ...], env: Mapping[str, str]) -> Ended:
        result = CliRunner().invoke(app, list(args), env={**self.env, **env})  # type: ignore[arg-type]
        if isinstance(result.exception, StopError):
            return Ended(result.exception.exit_code, f"{result.output}{result.exception}")
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return Ended(result.exit_code, result.output)
