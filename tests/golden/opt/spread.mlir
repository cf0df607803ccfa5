// passes: split_parallel{tensor=3}
module attributes {agent.passes = ["inline_pipelines", "split_llm"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {dtype = "", engine = "", name = "smollm2-135m-instruct"}, entry = "llm:model", keyword = "model", name = "writer", type = "llm.Model"} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.text):
    %0 = "agent.open"() {id = "hello.open.writer", name = "writer"} : () -> !agent.handle_of<"llm.Model">
    %1 = "agent.template"(%arg0) {id = "hello.chat.prompt", operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parts = ["Greet ", 0, " in one short sentence."]} : (!agent.text) -> !agent.text
    %2 = "agent.constant"() {id = "hello.chat.system", value = ""} : () -> !agent.text
    %3 = "agent.constant"() {id = "hello.chat.max_tokens", value = 32 : i64} : () -> !agent.int
    %4 = "agent.constant"() {id = "hello.chat.temperature", value = 0.000000e+00 : f64} : () -> !agent.float
    %5 = "agent.constant"() {id = "hello.chat.seed", value = 0 : i64} : () -> !agent.int
    %6 = "agent.constant"() {id = "hello.chat.stop", value = []} : () -> !agent.list_of<!agent.text>
    %7 = "agent.tokenize"(%0, %1, %2) {entry = "llm:tokenize", id = "hello.chat.tokenize", operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "prompt", "system"]} : (!agent.handle_of<"llm.Model">, !agent.text, !agent.text) -> !agent.tokens<"writer">
    %8 = "agent.prefill"(%0, %7) {entry = "llm:prefill", id = "hello.chat.prefill", parameters = ["self", "tokens"]} : (!agent.handle_of<"llm.Model">, !agent.tokens<"writer">) -> !agent.kv<"writer">
    %9 = "agent.kv_transfer"(%8) {entry = "llm:transfer", id = "hello.chat.transfer", parameters = ["kv"]} : (!agent.kv<"writer">) -> !agent.kv<"writer">
    %10 = "agent.decode"(%0, %9, %3, %4, %5) {entry = "llm:decode", id = "hello.chat.decode", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, output = "hello", parameters = ["self", "kv", "max_tokens", "temperature", "seed"]} : (!agent.handle_of<"llm.Model">, !agent.kv<"writer">, !agent.int, !agent.float, !agent.int) -> !agent.stream_of<!agent.int>
    %11 = "agent.detokenize"(%0, %10, %6) {entry = "llm:detokenize", id = "hello.chat.detokenize", operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "tokens", "stop"]} : (!agent.handle_of<"llm.Model">, !agent.stream_of<!agent.int>, !agent.list_of<!agent.text>) -> !agent.stream_of<!agent.text>
    "agent.return"(%11) {id = "hello.return"} : (!agent.stream_of<!agent.text>) -> ()
  }) {name = "hello", parameters = [{default = "world", name = "name", required = false, type = !agent.text}], result = !agent.stream_of<!agent.text>} : () -> ()
}
