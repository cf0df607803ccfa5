"""Values of many parts, as a user runs them: more than one operation of the compiler can hold."""

from __future__ import annotations

import json
from pathlib import Path

from cli_runs import agentlang


def test_values_of_many_parts(tmp_path: Path) -> None:
    listed = ", ".join(f'"{n} {{t}}"' for n in range(1000))
    mapped = ", ".join(f'"k{n}": "{n} {{t}}"' for n in range(500))
    fields = ", ".join(f"f{n}: Text" for n in range(100))
    given = ", ".join(f'f{n}: "{n} {{t}}"' for n in range(100))
    binders = ", ".join(f"g{n}" for n in range(100))
    holes = "".join(f"{n}{{t}}" for n in range(200))
    path = tmp_path / "many.agent"
    path.write_text(
        f"""
type Wide {{ {fields} }}

enum Held {{ Much({fields}), Nothing }}

type Whole {{ listed: [Text], mapped: {{Text: Text}}, wide: Wide, taken: Text, text: Text }}

pipeline main(t: Text) -> Whole {{
  held = Held.Much({given})
  taken = match held {{
    Much({binders}) => "{{g0}}, {{g31}}, {{g32}}, {{g99}}"
    Nothing => ""
  }}
  return Whole(
    listed: [{listed}],
    mapped: {{{mapped}}},
    wide: Wide({given}),
    taken: taken,
    text: "{holes}",
  )
}}
"""
    )
    done = agentlang("run", "--quiet", path, "t=x")
    assert done.code == 0, done.err
    whole = json.loads(done.out)
    assert whole["listed"] == [f"{n} x" for n in range(1000)]
    assert list(whole["mapped"].items()) == [(f"k{n}", f"{n} x") for n in range(500)]
    assert list(whole["wide"].items()) == [(f"f{n}", f"{n} x") for n in range(100)]
    assert whole["taken"] == "0 x, 31 x, 32 x, 99 x"
    assert whole["text"] == "".join(f"{n}x" for n in range(200))
