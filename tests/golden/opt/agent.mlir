// passes: split_agent
module attributes {agent.version = 1 : i64} {
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
    %10 = "agent.agent"(%9) ({
    ^bb0(%arg1: !agent.list_of<!agent.record_of<"Message">>):
      %11 = "agent.constant"() {id = "desk.turn.chat.system", value = ""} : () -> !agent.text
      %12 = "agent.constant"() {id = "desk.turn.chat.max_tokens", value = 256 : i64} : () -> !agent.int
      %13 = "agent.constant"() {id = "desk.turn.chat.temperature", value = 0.000000e+00 : f64} : () -> !agent.float
      %14 = "agent.constant"() {id = "desk.turn.chat.seed", value = 0 : i64} : () -> !agent.int
      %15 = "agent.constant"() {id = "desk.turn.chat.stop", value = []} : () -> !agent.list_of<!agent.text>
      %16 = "agent.chat"(%0, %arg1, %11, %12, %13, %14, %15) {binding = "step", id = "desk.turn.chat", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, output = "step", parameters = ["self", "prompt", "system", "max_tokens", "temperature", "seed", "stop"], schema = "{\22description\22:\22What the model of `desk` does next.\22,\22anyOf\22:[{\22type\22:\22object\22,\22properties\22:{\22Use\22:{\22type\22:\22object\22,\22properties\22:{\22calls\22:{\22type\22:\22array\22,\22items\22:{\22description\22:\22A call of one of the tools of `desk`.\22,\22enum\22:[\22today\22]}}},\22required\22:[\22calls\22],\22additionalProperties\22:false}},\22required\22:[\22Use\22],\22additionalProperties\22:false},{\22type\22:\22object\22,\22properties\22:{\22Answer\22:{\22type\22:\22object\22,\22properties\22:{\22answer\22:{\22type\22:\22string\22}},\22required\22:[\22answer\22],\22additionalProperties\22:false}},\22required\22:[\22Answer\22],\22additionalProperties\22:false}]}"} : (!agent.handle_of<"llm.Model">, !agent.list_of<!agent.record_of<"Message">>, !agent.text, !agent.int, !agent.float, !agent.int, !agent.list_of<!agent.text>) -> !agent.enum_of<"desk.Step">
      "agent.yield"(%16) {id = "desk.turn.yield"} : (!agent.enum_of<"desk.Step">) -> ()
    }, {
    ^bb0(%arg1: !agent.enum_of<"desk.Call">):
      %11 = "agent.match"(%arg1) ({
        "agent.arm"() ({
          %12 = "agent.case"() {case = "Tool", enum = "Role", fields = [], id = "desk.turn.match.Use.call.match.today.build.role", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
          %13 = "agent.try"() ({
            %15 = "agent.try"() ({
              %16 = "agent.try"() ({
                %17 = "agent.try"() ({
                  %18 = "agent.stage"() {entry = "python:call", id = "desk.turn.match.Use.call.match.today.today", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = [], settings = {target = "shop:today"}, tool = "today"} : () -> !agent.text
                  %19 = "agent.convert"(%18) {checked = false, id = "desk.turn.match.Use.call.match.today.build.convert"} : (!agent.text) -> !agent.json
                  %20 = "agent.template"(%19) {id = "desk.turn.match.Use.call.match.today.build.template", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = ["today: ", 0]} : (!agent.json) -> !agent.text
                  "agent.yield"(%20) {id = "desk.turn.match.Use.call.match.today.build.otherwise_3.yield"} : (!agent.text) -> ()
                }, {
                  %18 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.otherwise_3.constant", value = "today failed: denied"} : () -> !agent.text
                  "agent.yield"(%18) {id = "desk.turn.match.Use.call.match.today.build.otherwise_3.yield_2"} : (!agent.text) -> ()
                }) {id = "desk.turn.match.Use.call.match.today.build.otherwise_3", reasons = ["denied"]} : () -> !agent.text
                "agent.yield"(%17) {id = "desk.turn.match.Use.call.match.today.build.otherwise_2.yield"} : (!agent.text) -> ()
              }, {
                %17 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.otherwise_2.constant", value = "today failed: timeout"} : () -> !agent.text
                "agent.yield"(%17) {id = "desk.turn.match.Use.call.match.today.build.otherwise_2.yield_2"} : (!agent.text) -> ()
              }) {id = "desk.turn.match.Use.call.match.today.build.otherwise_2", reasons = ["timeout"]} : () -> !agent.text
              "agent.yield"(%16) {id = "desk.turn.match.Use.call.match.today.build.otherwise.yield"} : (!agent.text) -> ()
            }, {
              %16 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.otherwise.constant", value = "today failed: unreachable"} : () -> !agent.text
              "agent.yield"(%16) {id = "desk.turn.match.Use.call.match.today.build.otherwise.yield_2"} : (!agent.text) -> ()
            }) {id = "desk.turn.match.Use.call.match.today.build.otherwise", reasons = ["unreachable"]} : () -> !agent.text
            "agent.yield"(%15) {id = "desk.turn.match.Use.call.match.today.build.text.yield"} : (!agent.text) -> ()
          }, {
            %15 = "agent.constant"() {id = "desk.turn.match.Use.call.match.today.build.text.constant", value = "today failed"} : () -> !agent.text
            "agent.yield"(%15) {id = "desk.turn.match.Use.call.match.today.build.text.yield_2"} : (!agent.text) -> ()
          }) {id = "desk.turn.match.Use.call.match.today.build.text", reasons = []} : () -> !agent.text
          %14 = "agent.build"(%12, %13) {fields = ["role", "text"], id = "desk.turn.match.Use.call.match.today.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
          "agent.yield"(%14) {id = "desk.turn.match.Use.call.match.today.yield"} : (!agent.record_of<"Message">) -> ()
        }) {case = "today"} : () -> ()
      }) {id = "desk.turn.match.Use.call.match"} : (!agent.enum_of<"desk.Call">) -> !agent.record_of<"Message">
      "agent.yield"(%11) {id = "desk.turn.match.Use.call.yield"} : (!agent.record_of<"Message">) -> ()
    }, {
    ^bb0(%arg1: !agent.list_of<!agent.record_of<"Message">>):
      %11 = "agent.case"() {case = "User", enum = "Role", fields = [], id = "desk.match.none.chat.prompt.role", operandSegmentSizes = array<i32: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : () -> !agent.enum_of<"Role">
      %12 = "agent.constant"() {id = "desk.match.none.chat.prompt.text", value = "No more tools may be used. Answer now, in plain words."} : () -> !agent.text
      %13 = "agent.build"(%11, %12) {fields = ["role", "text"], id = "desk.match.none.chat.prompt.build", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, record = "Message"} : (!agent.enum_of<"Role">, !agent.text) -> !agent.record_of<"Message">
      %14 = "agent.list"(%13) {id = "desk.match.none.chat.prompt.list", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!agent.record_of<"Message">) -> !agent.list_of<!agent.record_of<"Message">>
      %15 = "agent.binary"(%arg1, %14) {id = "desk.match.none.chat.prompt", operator = "+"} : (!agent.list_of<!agent.record_of<"Message">>, !agent.list_of<!agent.record_of<"Message">>) -> !agent.list_of<!agent.record_of<"Message">>
      %16 = "agent.constant"() {id = "desk.match.none.chat.system", value = ""} : () -> !agent.text
      %17 = "agent.constant"() {id = "desk.match.none.chat.max_tokens", value = 256 : i64} : () -> !agent.int
      %18 = "agent.constant"() {id = "desk.match.none.chat.temperature", value = 0.000000e+00 : f64} : () -> !agent.float
      %19 = "agent.constant"() {id = "desk.match.none.chat.seed", value = 0 : i64} : () -> !agent.int
      %20 = "agent.constant"() {id = "desk.match.none.chat.stop", value = []} : () -> !agent.list_of<!agent.text>
      %21 = "agent.chat"(%0, %15, %16, %17, %18, %19, %20) {id = "desk.match.none.chat", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, output = "desk", parameters = ["self", "prompt", "system", "max_tokens", "temperature", "seed", "stop"]} : (!agent.handle_of<"llm.Model">, !agent.list_of<!agent.record_of<"Message">>, !agent.text, !agent.int, !agent.float, !agent.int, !agent.list_of<!agent.text>) -> !agent.stream_of<!agent.text>
      %22 = "agent.collect"(%21) {id = "desk.match.none.collect"} : (!agent.stream_of<!agent.text>) -> !agent.text
      "agent.yield"(%22) {id = "desk.match.none.yield"} : (!agent.text) -> ()
    }) {at_most = 3 : i64, id = "desk.agent", model = "writer", name = "desk", record = "desk.Turn", tools = ["today"]} : (!agent.list_of<!agent.record_of<"Message">>) -> !agent.text
    "agent.return"(%10) {id = "desk.return"} : (!agent.text) -> ()
  }) {name = "desk", parameters = [{name = "question", required = true, type = !agent.text}], result = !agent.text} : () -> ()
}
