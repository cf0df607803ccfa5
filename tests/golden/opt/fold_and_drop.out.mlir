module attributes {agent.passes = ["fold_constants", "drop_unread"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text):
    "agent.return"(%arg0) {id = "hello.return"} : (!agent.text) -> ()
  }) {name = "hello", parameters = [{name = "name", required = true, type = !agent.text}], result = !agent.text, unread = ["more"]} : () -> ()
}
