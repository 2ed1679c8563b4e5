"""Messages of tasks as Celery spells them, of which little differs from one to the next.

To have Celery spell each anew costs more than half of sending one, and most where its code has not run for a moment. So
a task's form is made once, by Celery, and filled in. Who watches tasks is told that one was sent when its message is on
its way, since no alert waits for that.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

from celery import Celery
from kombu.utils.uuid import uuid


class Later:
    """Takes the place of Celery's dispatcher of task events, and keeps what it is given."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, dict[str, object], dict[str, Any]]] = []

    def publish(self, kind: str, fields: dict[str, object], _producer: Any, **how: Any) -> None:
        """Keep an event."""
        self.kept.append((kind, fields, how))


class Forms:
    """The forms of one application, for one thread."""

    def __init__(self, celery: Celery) -> None:
        self._amqp: Final[Any] = celery.amqp
        self._tells = bool(celery.conf.task_send_sent_event)
        # It has no connection of its own.
        self._dispatcher: Final[Any] = cast(Any, celery.events).Dispatcher(enabled=False)
        self._kept: dict[str, tuple[Any, dict[str, Any]]] = {}

    def send(
        self,
        producer: Any,
        later: Later,
        task: str,
        args: tuple[object, ...],
        summary: str,
        headers: Mapping[str, object],
        **sending: Any,
    ) -> None:
        """Publish a message; `summary` stands for its arguments where people see them."""
        form, route = self._kept.get(task) or self._make(task)
        key = uuid()
        mine = {"id": key, "root_id": key, "argsrepr": summary, **headers}
        told = form.sent_event and {**form.sent_event, "uuid": key, "root_id": key, "args": summary}
        message = form._replace(
            headers={**form.headers, **mine},
            properties={**form.properties, "correlation_id": key},
            body=(args, *form.body[1:]),
            sent_event=told,
        )
        self._amqp.send_task_message(
            producer, task, message, event_dispatcher=later, **route, **sending
        )

    def tell(self, producer: Any, later: Later) -> None:
        """Publish the events that were kept."""
        for kind, fields, how in later.kept:
            self._dispatcher.publish(kind, fields, producer, **how)

    def _make(self, task: str) -> tuple[Any, dict[str, Any]]:
        message = self._amqp.create_task_message(
            "", task, argsrepr="", ignore_result=True, create_sent_event=self._tells
        )
        kept = self._kept[task] = (message, self._amqp.router.route({}, task))
        return kept
