module attributes {agent.passes = ["inline_pipelines", "overlap_streams"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {dtype = "", engine = "", name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.stream_of<!agent.list_of<!agent.text>>):
    %0 = "agent.map"(%arg0) ({
    ^bb0(%arg1: !agent.list_of<!agent.text>):
      %1 = "agent.constant"() {id = "answer.scene.join.separator", value = " "} : () -> !agent.text
      %2 = "agent.stage"(%arg1, %1) {entry = "text:join", id = "answer.scene.join", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["texts", "separator"]} : (!agent.list_of<!agent.text>, !agent.text) -> !agent.text
      "agent.yield"(%2) {id = "answer.scene.yield"} : (!agent.text) -> ()
    }, {
    }) {at_most = 4 : i64, id = "answer.map", variable = "scene"} : (!agent.stream_of<!agent.list_of<!agent.text>>) -> !agent.list_of<!agent.text>
    "agent.return"(%0) {id = "answer.return"} : (!agent.list_of<!agent.text>) -> ()
  }) {name = "answer", parameters = [{name = "scenes", required = true, type = !agent.stream_of<!agent.list_of<!agent.text>>}], result = !agent.list_of<!agent.text>} : () -> ()
}
