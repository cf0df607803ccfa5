module attributes {agent.passes = ["split_agent"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {dtype = "", engine = "", name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> ()
  "agent.record"() {fields = [{name = "role", type = !agent.enum_of<"Role">}, {name = "text", type = !agent.text}], name = "Message"} : () -> ()
  "agent.record"() {fields = [{name = "said", type = !agent.list_of<!agent.record_of<"Message">>}, {name = "answer", type = !agent.option_of<!agent.text>}], name = "desk.Turn"} : () -> ()
  "agent.enum"() {cases = [{name = "System", payload = []}, {name = "User", payload = []}, {name = "Assistant", payload = []}, {name = "Tool", payload = []}], name = "Role"} : () -> ()
  "agent.enum"() {cases = [{name = "today", payload = []}], name = "desk.Call"} : () -> ()
  "agent.enum"() {cases = [{name = "Use", payload = [{name = "calls", type = !agent.list_of<!agent.enum_of<"desk.Call">>}]}, {name = "Answer", payload = [{name = "answer", type = !agent.text}]}], name = "desk.Step"} : () -> ()
  "agent.tool"() {effects = [], entry = "python:call", name = "today", parameters = [], result = !agent.text, settings = {target = "shop:today"}} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text):
    %0 = "agent.open"() {id = "desk.open.writer", name = "writer"} : () -> !agent.handle_of<"llm.Model">
    %1 = "agent.case"() {case = "System", enum = "Role", fields = [], id = "desk.said.role", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
    %2 = "agent.constant"() {id = "desk.said.text", value = "Tools, as they are called:\0A- \22today\22 gives Text.\0AReply with JSON alone, in one of two forms.\0ATo use tools, several at once if you like: {\22Use\22: {\22calls\22: [\22today\22]}}\0ATo answer: {\22Answer\22: {\22answer\22: Text}}"} : () -> !agent.text
    %3 = "agent.build"(%1, %2) {fields = ["role", "text"], id = "desk.said.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
    %4 = "agent.list"(%3) {id = "desk.said.list", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!agent.record_of<"Message">) -> !agent.list_of<!agent.record_of<"Message">>
    %5 = "agent.case"() {case = "User", enum = "Role", fields = [], id = "desk.said.role_2", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
    %6 = "agent.template"(%arg0) {id = "desk.said.text_2", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = [0]} : (!agent.text) -> !agent.text
    %7 = "agent.build"(%5, %6) {fields = ["role", "text"], id = "desk.said.build_2", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
    %8 = "agent.list"(%7) {id = "desk.said.list_2", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!agent.record_of<"Message">) -> !agent.list_of<!agent.record_of<"Message">>
    %9 = "agent.binary"(%4, %8) {binding = "said", id = "desk.said", operator = "+"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.list_of<!agent.record_of<"Message">>) -> !agent.list_of<!agent.record_of<"Message">>
    %10 = "agent.constant"() {id = "desk.done.initial.answer", value} : () -> !agent.option_of<!agent.text>
    %11 = "agent.build"(%9, %10) {fields = ["said", "answer"], id = "desk.done.initial", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "desk.Turn"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.option_of<!agent.text>) -> !agent.record_of<"desk.Turn">
    %12 = "agent.repeat"(%11) ({
    ^bb0(%arg1: !agent.record_of<"desk.Turn">):
      %15 = "agent.field"(%arg1) {id = "desk.turn.chat.prompt", name = "said"} : (!agent.record_of<"desk.Turn">) -> !agent.list_of<!agent.record_of<"Message">>
      %16 = "agent.constant"() {id = "desk.turn.chat.system", value = ""} : () -> !agent.text
      %17 = "agent.constant"() {id = "desk.turn.chat.max_tokens", value = 256 : i64} : () -> !agent.int
      %18 = "agent.constant"() {id = "desk.turn.chat.temperature", value = 0.000000e+00 : f64} : () -> !agent.float
      %19 = "agent.constant"() {id = "desk.turn.chat.seed", value = 0 : i64} : () -> !agent.int
      %20 = "agent.constant"() {id = "desk.turn.chat.stop", value = []} : () -> !agent.list_of<!agent.text>
      %21 = "agent.chat"(%0, %15, %16, %17, %18, %19, %20) {binding = "step", id = "desk.turn.chat", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, output = "step", parameters = ["self", "prompt", "system", "max_tokens", "temperature", "seed", "stop"], schema = "{\22description\22:\22What the model of `desk` does next.\22,\22anyOf\22:[{\22type\22:\22object\22,\22properties\22:{\22Use\22:{\22type\22:\22object\22,\22properties\22:{\22calls\22:{\22type\22:\22array\22,\22items\22:{\22description\22:\22A call of one of the tools of `desk`.\22,\22enum\22:[\22today\22]}}},\22required\22:[\22calls\22],\22additionalProperties\22:false}},\22required\22:[\22Use\22],\22additionalProperties\22:false},{\22type\22:\22object\22,\22properties\22:{\22Answer\22:{\22type\22:\22object\22,\22properties\22:{\22answer\22:{\22type\22:\22string\22}},\22required\22:[\22answer\22],\22additionalProperties\22:false}},\22required\22:[\22Answer\22],\22additionalProperties\22:false}]}"} : (!agent.handle_of<"llm.Model">, !agent.list_of<!agent.record_of<"Message">>, !agent.text, !agent.int, !agent.float, !agent.int, !agent.list_of<!agent.text>) -> !agent.enum_of<"desk.Step">
      %22 = "agent.match"(%21) ({
        "agent.arm"() ({
        ^bb0(%arg2: !agent.text):
          %23 = "agent.field"(%arg1) {id = "desk.turn.match.Answer.turn.said", name = "said"} : (!agent.record_of<"desk.Turn">) -> !agent.list_of<!agent.record_of<"Message">>
          %24 = "agent.convert"(%arg2) {checked = false, id = "desk.turn.match.Answer.turn.answer"} : (!agent.text) -> !agent.option_of<!agent.text>
          %25 = "agent.build"(%23, %24) {fields = ["said", "answer"], id = "desk.turn.match.Answer.turn.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "desk.Turn"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.option_of<!agent.text>) -> !agent.record_of<"desk.Turn">
          %26 = "agent.turn"(%25) {id = "desk.turn.match.Answer.turn", stop = true} : (!agent.record_of<"desk.Turn">) -> !agent.turn_of<!agent.record_of<"desk.Turn">>
          "agent.yield"(%26) {id = "desk.turn.match.Answer.yield"} : (!agent.turn_of<!agent.record_of<"desk.Turn">>) -> ()
        }) {binders = ["answer"], case = "Answer"} : () -> ()
        "agent.arm"() ({
        ^bb0(%arg2: !agent.list_of<!agent.enum_of<"desk.Call">>):
          %23 = "agent.map"(%arg2) ({
          ^bb0(%arg3: !agent.enum_of<"desk.Call">):
            %35 = "agent.match"(%arg3) ({
              "agent.arm"() ({
                %36 = "agent.case"() {case = "Tool", enum = "Role", fields = [], id = "desk.turn.match.Use.call.match.today.build.role", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
                %37 = "agent.try"() ({
                  %39 = "agent.try"() ({
                    %40 = "agent.try"() ({
                      %41 = "agent.try"() ({
                        %42 = "agent.stage"() {entry = "python:call", id = "desk.turn.match.Use.call.match.today.today", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = [], settings = {target = "shop:today"}, tool = "today"} : () -> !agent.text
                        %43 = "agent.convert"(%42) {checked = false, id = "desk.turn.match.Use.call.match.today.build.convert"} : (!agent.text) -> !agent.json
                        %44 = "agent.template"(%43) {id = "desk.turn.match.Use.call.match.today.build.template", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = ["today: ", 0]} : (!agent.json) -> !agent.text
                        "agent.yield"(%44) {id = "desk.turn.match.Use.call.match.today.build.otherwise_3.yield"} : (!agent.text) -> ()
                      }, {
                        %42 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.otherwise_3.constant", value = "today failed: denied"} : () -> !agent.text
                        "agent.yield"(%42) {id = "desk.turn.match.Use.call.match.today.build.otherwise_3.yield_2"} : (!agent.text) -> ()
                      }) {id = "desk.turn.match.Use.call.match.today.build.otherwise_3", reasons = ["denied"]} : () -> !agent.text
                      "agent.yield"(%41) {id = "desk.turn.match.Use.call.match.today.build.otherwise_2.yield"} : (!agent.text) -> ()
                    }, {
                      %41 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.otherwise_2.constant", value = "today failed: timeout"} : () -> !agent.text
                      "agent.yield"(%41) {id = "desk.turn.match.Use.call.match.today.build.otherwise_2.yield_2"} : (!agent.text) -> ()
                    }) {id = "desk.turn.match.Use.call.match.today.build.otherwise_2", reasons = ["timeout"]} : () -> !agent.text
                    "agent.yield"(%40) {id = "desk.turn.match.Use.call.match.today.build.otherwise.yield"} : (!agent.text) -> ()
                  }, {
                    %40 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.otherwise.constant", value = "today failed: unreachable"} : () -> !agent.text
                    "agent.yield"(%40) {id = "desk.turn.match.Use.call.match.today.build.otherwise.yield_2"} : (!agent.text) -> ()
                  }) {id = "desk.turn.match.Use.call.match.today.build.otherwise", reasons = ["unreachable"]} : () -> !agent.text
                  "agent.yield"(%39) {id = "desk.turn.match.Use.call.match.today.build.text.yield"} : (!agent.text) -> ()
                }, {
                  %39 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.text.constant", value = "today failed"} : () -> !agent.text
                  "agent.yield"(%39) {id = "desk.turn.match.Use.call.match.today.build.text.yield_2"} : (!agent.text) -> ()
                }) {id = "desk.turn.match.Use.call.match.today.build.text", reasons = []} : () -> !agent.text
                %38 = "agent.build"(%36, %37) {fields = ["role", "text"], id = "desk.turn.match.Use.call.match.today.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
                "agent.yield"(%38) {id = "desk.turn.match.Use.call.match.today.yield"} : (!agent.record_of<"Message">) -> ()
              }) {case = "today"} : () -> ()
            }) {id = "desk.turn.match.Use.call.match"} : (!agent.enum_of<"desk.Call">) -> !agent.record_of<"Message">
            "agent.yield"(%35) {id = "desk.turn.match.Use.call.yield"} : (!agent.record_of<"Message">) -> ()
          }, {
          }) {at_most = 16 : i64, binding = "results", id = "desk.turn.match.Use.results", variable = "call"} : (!agent.list_of<!agent.enum_of<"desk.Call">>) -> !agent.list_of<!agent.record_of<"Message">>
          %24 = "agent.field"(%arg1) {id = "desk.turn.match.Use.turn.said.field", name = "said"} : (!agent.record_of<"desk.Turn">) -> !agent.list_of<!agent.record_of<"Message">>
          %25 = "agent.case"() {case = "Assistant", enum = "Role", fields = [], id = "desk.turn.match.Use.turn.said.role", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
          %26 = "agent.convert"(%21) {checked = false, id = "desk.turn.match.Use.turn.said.text.convert"} : (!agent.enum_of<"desk.Step">) -> !agent.json
          %27 = "agent.template"(%26) {id = "desk.turn.match.Use.turn.said.text", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = [0]} : (!agent.json) -> !agent.text
          %28 = "agent.build"(%25, %27) {fields = ["role", "text"], id = "desk.turn.match.Use.turn.said.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
          %29 = "agent.list"(%28) {id = "desk.turn.match.Use.turn.said.list", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!agent.record_of<"Message">) -> !agent.list_of<!agent.record_of<"Message">>
          %30 = "agent.binary"(%24, %29) {id = "desk.turn.match.Use.turn.said.binary", operator = "+"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.list_of<!agent.record_of<"Message">>) -> !agent.list_of<!agent.record_of<"Message">>
          %31 = "agent.binary"(%30, %23) {id = "desk.turn.match.Use.turn.said", operator = "+"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.list_of<!agent.record_of<"Message">>) -> !agent.list_of<!agent.record_of<"Message">>
          %32 = "agent.constant"() {id = "desk.turn.match.Use.turn.answer", value} : () -> !agent.option_of<!agent.text>
          %33 = "agent.build"(%31, %32) {fields = ["said", "answer"], id = "desk.turn.match.Use.turn.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "desk.Turn"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.option_of<!agent.text>) -> !agent.record_of<"desk.Turn">
          %34 = "agent.turn"(%33) {id = "desk.turn.match.Use.turn", stop = false} : (!agent.record_of<"desk.Turn">) -> !agent.turn_of<!agent.record_of<"desk.Turn">>
          "agent.yield"(%34) {id = "desk.turn.match.Use.yield"} : (!agent.turn_of<!agent.record_of<"desk.Turn">>) -> ()
        }) {binders = ["calls"], case = "Use"} : () -> ()
      }) {id = "desk.turn.match"} : (!agent.enum_of<"desk.Step">) -> !agent.turn_of<!agent.record_of<"desk.Turn">>
      "agent.yield"(%22) {id = "desk.turn.yield"} : (!agent.turn_of<!agent.record_of<"desk.Turn">>) -> ()
    }) {at_most = 2 : i64, binding = "done", id = "desk.done", variable = "turn"} : (!agent.record_of<"desk.Turn">) -> !agent.record_of<"desk.Turn">
    %13 = "agent.field"(%12) {id = "desk.match.field", name = "answer"} : (!agent.record_of<"desk.Turn">) -> !agent.option_of<!agent.text>
    %14 = "agent.match"(%13) ({
      "agent.arm"() ({
      ^bb0(%arg1: !agent.text):
        "agent.yield"(%arg1) {id = "desk.match.some.yield"} : (!agent.text) -> ()
      }) {binders = ["found"], case = "some"} : () -> ()
      "agent.arm"() ({
        %15 = "agent.field"(%12) {id = "desk.match.none.chat.prompt.field", name = "said"} : (!agent.record_of<"desk.Turn">) -> !agent.list_of<!agent.record_of<"Message">>
        %16 = "agent.case"() {case = "User", enum = "Role", fields = [], id = "desk.match.none.chat.prompt.role", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
        %17 = "agent.constant"() {id = "desk.match.none.chat.prompt.text", value = "No more tools may be used. Answer now, in plain words."} : () -> !agent.text
        %18 = "agent.build"(%16, %17) {fields = ["role", "text"], id = "desk.match.none.chat.prompt.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
        %19 = "agent.list"(%18) {id = "desk.match.none.chat.prompt.list", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!agent.record_of<"Message">) -> !agent.list_of<!agent.record_of<"Message">>
        %20 = "agent.binary"(%15, %19) {id = "desk.match.none.chat.prompt", operator = "+"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.list_of<!agent.record_of<"Message">>) -> !agent.list_of<!agent.record_of<"Message">>
        %21 = "agent.constant"() {id = "desk.match.none.chat.system", value = ""} : () -> !agent.text
        %22 = "agent.constant"() {id = "desk.match.none.chat.max_tokens", value = 256 : i64} : () -> !agent.int
        %23 = "agent.constant"() {id = "desk.match.none.chat.temperature", value = 0.000000e+00 : f64} : () -> !agent.float
        %24 = "agent.constant"() {id = "desk.match.none.chat.seed", value = 0 : i64} : () -> !agent.int
        %25 = "agent.constant"() {id = "desk.match.none.chat.stop", value = []} : () -> !agent.list_of<!agent.text>
        %26 = "agent.chat"(%0, %20, %21, %22, %23, %24, %25) {id = "desk.match.none.chat", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, output = "desk", parameters = ["self", "prompt", "system", "max_tokens", "temperature", "seed", "stop"]} : (!agent.handle_of<"llm.Model">, !agent.list_of<!agent.record_of<"Message">>, !agent.text, !agent.int, !agent.float, !agent.int, !agent.list_of<!agent.text>) -> !agent.stream_of<!agent.text>
        %27 = "agent.collect"(%26) {id = "desk.match.none.collect"} : (!agent.stream_of<!agent.text>) -> !agent.text
        "agent.yield"(%27) {id = "desk.match.none.yield"} : (!agent.text) -> ()
      }) {case = "none"} : () -> ()
    }) {id = "desk.match"} : (!agent.option_of<!agent.text>) -> !agent.text
    "agent.return"(%14) {id = "desk.return"} : (!agent.text) -> ()
  }) {name = "desk", parameters = [{name = "question", required = true, type = !agent.text}], result = !agent.text} : () -> ()
}
