"""A graph with what only a library knows, for those who place it: the shapes of models, and how large values are that
go from one stage to another. A module's text has neither: they say nothing of what the program means."""

from __future__ import annotations

from dataclasses import replace

from .demand.stages import annotate
from .graph import Graph
from .library import Library


def known(graph: Graph, library: Library) -> Graph:
    """The same graph, shapes in its handles and what is given in its pipelines."""
    handles = tuple(replace(handle, shape=library.model_shape(handle)) for handle in graph.handles)
    pipelines = tuple(
        replace(pipeline, given=annotate(graph, pipeline, pipeline.name, library).given) for pipeline in graph.pipelines
    )
    return replace(graph, handles=handles, pipelines=pipelines)
