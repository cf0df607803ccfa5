// passes: fold_constants,drop_unread
module attributes {agent.version = 1 : i64} {
  "agent.handle"() {arguments = {name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%name: !agent.text):
    %writer = "agent.open"() {id = "hello.open.writer", name = "writer"} : () -> !agent.handle_of<"llm.Model">
    %two = "agent.constant"() {id = "hello.two", value = 2 : i64} : () -> !agent.int
    %more = "agent.binary"(%two, %two) {id = "hello.more", operator = "*", binding = "more"} : (!agent.int, !agent.int) -> !agent.int
    "agent.return"(%name) {id = "hello.return"} : (!agent.text) -> ()
  }) {name = "hello", parameters = [{name = "name", required = true, type = !agent.text}], result = !agent.text} : () -> ()
}
