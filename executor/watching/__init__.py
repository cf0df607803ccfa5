"""What is told of runs, while they run, to the tools that people have: a trace file for Perfetto (`chrome`), spans for
OpenTelemetry (`telemetry`), counters for Prometheus (`metrics`).

Each is an observer (`executor.observers`) that only notes what it hears, a microsecond or so an event; what costs more
(JSON, spans, text) is done when somebody asks, or in a thread. None of them sees values: what a program was asked and
answered, labelled or not, is in no trace.
"""
