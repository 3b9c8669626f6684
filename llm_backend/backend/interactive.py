"""What happens on Shift+Enter?

The editor shows nothing of an error, so a failure becomes one sentence in the response box.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from llm_backend.adapters.store import Store
from llm_backend.backend.lessons import Pools
from llm_backend.backend.projects import Bound, Projects
from llm_backend.backend.watching import Watch, watched
from llm_backend.core.controls.regions import identified, placed
from llm_backend.core.inputs import Fetch
from llm_backend.core.labeling import Output
from llm_backend.core.notices import NOTICE_PREFIX, own_words
from llm_backend.core.predictor import Outcome, Plan, predict
from llm_backend.core.prompts import Prompt, entries_of, prompt_in
from llm_backend.core.wire import Prediction, PredictRequest, Region, Task, TaskId, marked
from llm_backend.errors import BackendError, LabelingError, StoreError
from llm_backend.settings import Settings

log = logging.getLogger(__name__)

_LATE_ANSWERS = 256
_NOTHING = "The model answered that nothing applies."
_NOTHING_MORE = "The model answered nothing that is not on the screen already."
Note = Callable[[str, TaskId | None, tuple[Region, ...]], None]


class Interactive:
    """Answers the calls that an annotator's editor makes."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        projects: Projects,
        fetch: Fetch,
        pools: Pools,
        note: Note,
        watch: Watch | None = None,
    ) -> None:
        """
        Args:
            note: Told what the editor is given for a task.
        """
        self._settings = settings
        self._store = store
        self._projects = projects
        self._fetch = fetch
        self._pools = pools
        self._note = note
        self._watch = watch
        self._late: OrderedDict[str, asyncio.Task[Outcome]] = OrderedDict()

    async def answer(self, request: PredictRequest) -> Prediction:
        """The regions for one task; none, and no call, when nobody asked for anything."""
        task = request.tasks[0] if request.tasks else None
        context = request.context or ()
        if task is None:
            return Prediction(())
        try:
            bound = self._projects.bind(request.project, request.label_config)
        except BackendError as exc:
            log.warning("interactive project=%s task=%s: %s", request.project, task.id, exc.logged)
            return Prediction(self._told(request.label_config, task, context, exc.sentence))
        prompt = _asked_for(bound, task, context)
        if prompt is None:
            return Prediction(())
        if self._settings.save_prompt_on_use:
            self._save_prompt(bound.key, prompt.text)
        return Prediction(await self._regions(bound, task, context, prompt))

    def _told(self, label_config: str, task: Task, context: Sequence[Region], sentence: str) -> tuple[Region, ...]:
        """The sentence for who asked something of a project of which nothing can be known now.

        No model is asked: the project may have a provider of its own, and its tasks are for no other.
        """
        try:
            plan = self._projects.plan(label_config)
        except LabelingError:
            return ()
        asked = prompt_in(context, plan.config.prompt) or any(map(placed, context))
        return _notice(plan, sentence, _by_person(plan, task, context)) if asked else ()

    def _save_prompt(self, key: str, text: str) -> None:
        try:
            self._store.save_prompt(key, text, "used")
        except StoreError as exc:  # the annotator's answer does not depend on it
            log.warning("interactive project=%s: the prompt is not saved: %s", key, exc.logged)

    async def _regions(self, bound: Bound, task: Task, context: Sequence[Region], prompt: Prompt) -> tuple[Region, ...]:
        plan = bound.plan
        held = (*_by_person(plan, task, context), *_marked(task, context))
        try:
            plan = plan.of_task(task.data)
            outcome = await self._outcome(bound, task, prompt, held)
        except BackendError as exc:
            log.warning("interactive project=%s task=%s: %s", bound.key, task.id, exc.logged)
            return _notice(plan, exc.sentence, held)
        made = _for_editor(plan, outcome.regions, context)
        self._note(bound.key, task.id, made)
        if not made and not outcome.reasons:
            return _notice(plan, _NOTHING_MORE if any(map(placed, held)) else _NOTHING, held)
        if outcome.reasons:
            told = _notice(plan, " ".join(outcome.reasons), (*held, *made))
            return (*(region for region in made if region.from_name not in {t.from_name for t in told}), *told)
        return (*made, *_without_notices(held))

    async def _outcome(self, bound: Bound, task: Task, prompt: Prompt, held: Sequence[Region]) -> Outcome:
        """The model's outcome, within INTERACTIVE_TIMEOUT.

        A question that outlasts it goes on; its answer is kept for the next identical question.
        """
        key = _identity(bound, task, prompt, held)
        asking = self._late.pop(key, None) or asyncio.ensure_future(self._predict(bound, task, prompt, held))
        done, _ = await asyncio.wait({asking}, timeout=self._settings.interactive_timeout)
        if done:
            return asking.result()
        self._keep_late(key, asking)
        raise _NotYet(self._settings.interactive_timeout)

    async def _predict(self, bound: Bound, task: Task, prompt: Prompt, held: Sequence[Region]) -> Outcome:
        asking = predict(
            bound.plan,
            task,
            prompt,
            bound.llm,
            self._fetch,
            lane="interactive",
            patience=self._settings.interactive_timeout,
            held=held,
            lessons=await self._pools.live(bound),
        )
        return await watched(asking, self._watch, "interactive", bound.plan.parameters.model or bound.llm.model)

    def _keep_late(self, key: str, asking: asyncio.Task[Outcome]) -> None:
        self._late[key] = asking
        asking.add_done_callback(_look_at_failure)
        while len(self._late) > _LATE_ANSWERS:
            _, oldest = self._late.popitem(last=False)
            oldest.cancel()


class _NotYet(BackendError):
    status = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The model has not answered within {seconds:g} s. Send the prompt again: its answer may have come by then."
        )


def _asked_for(bound: Bound, task: Task, context: Sequence[Region]) -> Prompt | None:
    """The prompt of an interactive call; None where neither a prompt nor a drawn span asks for an answer."""
    box = bound.plan.config.prompt
    told = prompt_in(context, box)
    if not told and not any(map(placed, context)):
        return None
    drafted = "\n".join(filter(None, (prompt_in(draft.result, box) for draft in task.drafts)))
    return bound.prompt((told, "annotator"), (drafted, "draft"))


def _by_person(plan: Plan, task: Task, context: Sequence[Region]) -> tuple[Region, ...]:
    """What a person answered: on screen, or, for objects that the call does not tell of, in the draft.

    A box that holds nothing but our own notices is nobody's work.
    """
    told = {region.to_name for region in context} | {region.from_name for region in context}
    drafted = (r for draft in task.drafts for r in draft.result if r.to_name not in told and r.from_name not in told)
    made = [r for r in (*context, *drafted) if r.by_person and r.from_name != plan.config.prompt and not placed(r)]
    return tuple(r for r in made if r.type != "textarea" or own_words(r))


def _marked(task: Task, context: Sequence[Region]) -> tuple[Region, ...]:
    """The places that are marked on screen, whoever marked them.

    A call tells of those that were just drawn, and of no others; the draft, which the editor saves some seconds after
    a change, tells of all.
    """
    drawn = [region for region in context if placed(region)]
    told = {region.id for region in drawn}
    drafted = (region for draft in task.drafts for region in draft.result if placed(region))
    return (*drawn, *(region for region in drafted if region.id not in told))


def _without_notices(held: Sequence[Region]) -> list[Region]:
    """A person's text boxes to which an earlier failure had added a notice, without it."""
    noted = [r for r in held if r.type == "textarea" and len(own_words(r)) < len(entries_of(r))]
    return [replace(region, value={**region.value, "text": own_words(region)}) for region in noted]


def _for_editor(plan: Plan, regions: Sequence[Region], context: Sequence[Region]) -> tuple[Region, ...]:
    """Regions as the editor shows them, marked as machine output."""
    prompted = next((region.to_name for region in context if region.from_name == plan.config.prompt), "")
    names = {control.name: control.shown_at(prompted or control.to_name) for control in plan.controls}
    shown = tuple(replace(r, to_name=names.get(r.from_name, r.to_name)) for r in regions)
    # The editor goes astray where it is sent an id that it has on screen already.
    return marked(identified(shown, uuid4().hex), "prediction")


def _notice(plan: Plan, sentence: str, regions: Sequence[Region]) -> tuple[Region, ...]:
    """The sentence in the response box, after what already stands there; none where there is no such box."""
    box = _response_box(plan)
    if box is None:
        log.warning("the labeling config has no text box that could tell the annotator")
        return ()
    told = NOTICE_PREFIX + sentence
    for region in regions:
        if region.from_name == box.name and region.type == "textarea":
            return (replace(region, value={**region.value, "text": [*own_words(region), told]}),)
    return marked((Region(box.name, box.to_names[0], "textarea", {"text": [told]}),), "prediction")


def _response_box(plan: Plan) -> Output | None:
    """The first whole-task TextArea with `response` in its name, else with smart="false", else the first."""
    boxes = [control.output for control in plan.controls if control.output.tag == "TextArea"]
    named = [box for box in boxes if "response" in box.name.lower()]
    quiet = [box for box in boxes if box.attrs.get("smart", "").lower() == "false"]
    return next(iter((*named, *quiet, *boxes)), None)


def _identity(bound: Bound, task: Task, prompt: Prompt, held: Sequence[Region]) -> str:
    told = (
        bound.key,
        bound.plan.version(prompt, bound.llm.model, bound.learned.stamp),
        task.id,
        task.data,
        sorted((r.from_name, r.id or "") for r in held),
    )
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _look_at_failure(asking: asyncio.Task[Outcome]) -> None:
    """Mark a late failure as seen; whoever asks again is told of it."""
    if not asking.cancelled():
        asking.exception()
