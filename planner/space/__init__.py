"""What a planner decides, as plain numbers: stages, where each could run, what each choice takes and what was promised.

A program becomes such a problem once (`build`); from then on nobody needs the program. The search, the explanation of
why there is no plan, the frontier and the planners that ours is compared with all read the same value, and `evaluate`
says what a choice comes to.
"""
