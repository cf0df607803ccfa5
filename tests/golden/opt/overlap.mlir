// passes: overlap_streams
module attributes {agent.passes = ["inline_pipelines"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {dtype = "", engine = "", name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.stream_of<!agent.list_of<!agent.text>>):
    %0 = "agent.collect"(%arg0) {id = "answer.map.collect"} : (!agent.stream_of<!agent.list_of<!agent.text>>) -> !agent.list_of<!agent.list_of<!agent.text>>
    %1 = "agent.map"(%0) ({
    ^bb0(%arg1: !agent.list_of<!agent.text>):
      %2 = "agent.constant"() {id = "answer.scene.join.separator", value = " "} : () -> !agent.text
      %3 = "agent.stage"(%arg1, %2) {entry = "text:join", id = "answer.scene.join", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["texts", "separator"]} : (!agent.list_of<!agent.text>, !agent.text) -> !agent.text
      "agent.yield"(%3) {id = "answer.scene.yield"} : (!agent.text) -> ()
    }, {
    }) {at_most = 4 : i64, id = "answer.map", variable = "scene"} : (!agent.list_of<!agent.list_of<!agent.text>>) -> !agent.list_of<!agent.text>
    "agent.return"(%1) {id = "answer.return"} : (!agent.list_of<!agent.text>) -> ()
  }) {name = "answer", parameters = [{name = "scenes", required = true, type = !agent.stream_of<!agent.list_of<!agent.text>>}], result = !agent.list_of<!agent.text>} : () -> ()
}
