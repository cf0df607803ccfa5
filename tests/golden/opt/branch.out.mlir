module attributes {agent.passes = ["fold_constants"]} {
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text, %arg1: !agent.text):
    %0 = "agent.constant"() {id = "p.one", value = 1 : i64} : () -> !agent.int
    %1 = "agent.constant"() {id = "p.two", value = 2 : i64} : () -> !agent.int
    %2 = "agent.constant"() {id = "p.less", value = true} : () -> !agent.bool
    "agent.return"(%arg0) {id = "p.return"} : (!agent.text) -> ()
  }) {name = "p", parameters = [{name = "a", required = true, type = !agent.text}, {name = "b", required = true, type = !agent.text}], result = !agent.text, unread = ["chosen"]} : () -> ()
}
