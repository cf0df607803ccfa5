// passes: fold_constants
module {
  "agent.pipeline"() ({
  ^bb0(%a: !agent.text, %b: !agent.text):
    %one = "agent.constant"() {id = "p.one", value = 1 : i64} : () -> !agent.int
    %two = "agent.constant"() {id = "p.two", value = 2 : i64} : () -> !agent.int
    %less = "agent.binary"(%one, %two) {id = "p.less", operator = "<"} : (!agent.int, !agent.int) -> !agent.bool
    %chosen = "agent.if"(%less) ({
      "agent.yield"(%a) {id = "p.if.yield"} : (!agent.text) -> ()
    }, {
      "agent.yield"(%b) {id = "p.if.yield_2"} : (!agent.text) -> ()
    }) {id = "p.if", binding = "chosen"} : (!agent.bool) -> !agent.text
    "agent.return"(%chosen) {id = "p.return"} : (!agent.text) -> ()
  }) {name = "p", parameters = [{name = "a", required = true, type = !agent.text}, {name = "b", required = true, type = !agent.text}], result = !agent.text} : () -> ()
}
