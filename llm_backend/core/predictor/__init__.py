"""Task + plan + model → outcome, one repair round included.

`plans` holds what is known before there is a task, `questions` what is asked for one, `talk` the calls about it,
`orders` what comparisons come to that are asked in both orders, and `outcomes` what comes of it all.
"""

from llm_backend.core.predictor.outcomes import Outcome, predict
from llm_backend.core.predictor.plans import Parameters, Plan, make_plan
from llm_backend.core.predictor.questions import Question, ask

__all__ = ["Outcome", "Parameters", "Plan", "Question", "ask", "make_plan", "predict"]
