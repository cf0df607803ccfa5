// passes: split_tool
module attributes {agent.passes = ["split_agent", "inline_pipelines"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {name = "all-minilm-l6-v2"}, entry = "embed:model", keyword = "model", name = "encoder", type = "embed.Encoder"} : () -> ()
  "agent.handle"() {arguments = {name = "ms-marco-minilm-l12"}, entry = "search:reranker", keyword = "model", name = "judge", type = "search.Reranker"} : () -> ()
  "agent.handle"() {arguments = {encoder = @encoder, passage = 120 : i64, pattern = "*.md"}, entry = "search:index", keyword = "resource", name = "handbook", type = "search.Index"} : () -> ()
  "agent.record"() {fields = [{name = "path", type = !agent.text}, {name = "line", type = !agent.int}, {name = "text", type = !agent.text}, {name = "score", type = !agent.float}], name = "search.Passage"} : () -> ()
  "agent.record"() {fields = [{name = "id", type = !agent.int}, {name = "item", type = !agent.text}], name = "Order"} : () -> ()
  "agent.tool"() {effects = ["network"], entry = "http:get", name = "order", parameters = [{name = "id", type = !agent.int}], result = !agent.record_of<"Order">, settings = {url = {parts = ["https://shop.example/", {argument = "id"}]}}} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.int):
    %0 = "agent.open"() {id = "bought.open.handbook", name = "handbook"} : () -> !agent.handle_of<"search.Index">
    %1 = "agent.open"() {id = "bought.open.judge", name = "judge"} : () -> !agent.handle_of<"search.Reranker">
    %2 = "agent.guard"() ({
      %9 = "agent.stage"(%arg0) {effects = ["network"], entry = "http:get", id = "bought.order", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["id"], settings = {url = {parts = ["https://shop.example/", {argument = "id"}]}}, tool = "order"} : (!agent.int) -> !agent.record_of<"Order">
      "agent.yield"(%9) {id = "bought.found.yield"} : (!agent.record_of<"Order">) -> ()
    }) {approve = false, binding = "found", id = "bought.found", labels = ["pii", "untrusted"], timeout = 2.000000e+00 : f64} : () -> !agent.record_of<"Order">
    %3 = "agent.field"(%2) {id = "bought.search.question", labels = ["pii", "untrusted"], name = "item"} : (!agent.record_of<"Order">) -> !agent.text
    %4 = "agent.constant"() {id = "bought.search.top", value = 4 : i64} : () -> !agent.int
    %5 = "agent.stage"(%0, %3, %4) {binding = "hits", entry = "search:search", id = "bought.search", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "question", "top"]} : (!agent.handle_of<"search.Index">, !agent.text, !agent.int) -> !agent.list_of<!agent.record_of<"search.Passage">>
    %6 = "agent.field"(%2) {id = "bought.rerank.question", labels = ["pii", "untrusted"], name = "item"} : (!agent.record_of<"Order">) -> !agent.text
    %7 = "agent.constant"() {id = "bought.rerank.keep", value = 3 : i64} : () -> !agent.int
    %8 = "agent.stage"(%1, %5, %6, %7) {entry = "search:rerank", id = "bought.rerank", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "passages", "question", "keep"]} : (!agent.handle_of<"search.Reranker">, !agent.list_of<!agent.record_of<"search.Passage">>, !agent.text, !agent.int) -> !agent.list_of<!agent.record_of<"search.Passage">>
    "agent.return"(%8) {id = "bought.return"} : (!agent.list_of<!agent.record_of<"search.Passage">>) -> ()
  }) {name = "bought", parameters = [{name = "id", required = true, type = !agent.int}], result = !agent.list_of<!agent.record_of<"search.Passage">>} : () -> ()
}
