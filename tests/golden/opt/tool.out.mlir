module attributes {agent.passes = ["split_agent", "inline_pipelines", "split_tool"], agent.version = 1 : i64} {
  "agent.handle"() {arguments = {name = "all-minilm-l6-v2"}, entry = "embed:model", keyword = "model", name = "encoder", type = "embed.Encoder"} : () -> ()
  "agent.handle"() {arguments = {name = "ms-marco-minilm-l12"}, entry = "search:reranker", keyword = "model", name = "judge", type = "search.Reranker"} : () -> ()
  "agent.handle"() {arguments = {encoder = @encoder, passage = 120 : i64, pattern = "*.md"}, entry = "search:index", keyword = "resource", name = "handbook", type = "search.Index"} : () -> ()
  "agent.record"() {fields = [{name = "path", type = !agent.text}, {name = "line", type = !agent.int}, {name = "text", type = !agent.text}, {name = "score", type = !agent.float}], name = "search.Passage"} : () -> ()
  "agent.record"() {fields = [{name = "id", type = !agent.int}, {name = "item", type = !agent.text}], name = "Order"} : () -> ()
  "agent.tool"() {effects = ["network"], entry = "http:get", name = "order", parameters = [{name = "id", type = !agent.int}], result = !agent.record_of<"Order">, settings = {url = {parts = ["https://shop.example/", {argument = "id"}]}}} : () -> ()
  "agent.pipeline"() ({
  ^bb0(%arg0: !agent.int):
    %0 = "agent.open"() {id = "bought.open.encoder", name = "encoder"} : () -> !agent.handle_of<"embed.Encoder">
    %1 = "agent.open"() {id = "bought.open.handbook", name = "handbook"} : () -> !agent.handle_of<"search.Index">
    %2 = "agent.open"() {id = "bought.open.judge", name = "judge"} : () -> !agent.handle_of<"search.Reranker">
    %3 = "agent.guard"() ({
      %11 = "agent.lookup"(%arg0) {effects = ["network"], entry = "http:get", id = "bought.order.lookup", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["id"], part_of = "order", partial = true, settings = {url = {parts = ["https://shop.example/", {argument = "id"}]}}, tool = "order"} : (!agent.int) -> !agent.bytes
      %12 = "agent.compute"(%11) {entry = "http:read", id = "bought.order.compute", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["body"], part_of = "order", tool = "order"} : (!agent.bytes) -> !agent.record_of<"Order">
      "agent.yield"(%12) {id = "bought.found.yield"} : (!agent.record_of<"Order">) -> ()
    }) {approve = false, binding = "found", id = "bought.found", labels = ["pii", "untrusted"], timeout = 2.000000e+00 : f64} : () -> !agent.record_of<"Order">
    %4 = "agent.field"(%3) {id = "bought.search.question", labels = ["pii", "untrusted"], name = "item"} : (!agent.record_of<"Order">) -> !agent.text
    %5 = "agent.constant"() {id = "bought.search.top", value = 4 : i64} : () -> !agent.int
    %6 = "agent.embed"(%0, %4) {arguments = ["", "question"], entry = "embed:embed", id = "bought.search.embed", operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "text"], part_of = "handbook.search", partial = true} : (!agent.handle_of<"embed.Encoder">, !agent.text) -> !agent.list_of<!agent.float>
    %7 = "agent.lookup"(%1, %6, %5) {binding = "hits", entry = "search:lookup", id = "bought.search.lookup", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "vector", "top"], part_of = "handbook.search"} : (!agent.handle_of<"search.Index">, !agent.list_of<!agent.float>, !agent.int) -> !agent.list_of<!agent.record_of<"search.Passage">>
    %8 = "agent.field"(%3) {id = "bought.rerank.question", labels = ["pii", "untrusted"], name = "item"} : (!agent.record_of<"Order">) -> !agent.text
    %9 = "agent.constant"() {id = "bought.rerank.keep", value = 3 : i64} : () -> !agent.int
    %10 = "agent.score"(%2, %7, %8, %9) {entry = "search:rerank", id = "bought.rerank", labels = ["pii", "untrusted"], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>, parameters = ["self", "passages", "question", "keep"]} : (!agent.handle_of<"search.Reranker">, !agent.list_of<!agent.record_of<"search.Passage">>, !agent.text, !agent.int) -> !agent.list_of<!agent.record_of<"search.Passage">>
    "agent.return"(%10) {id = "bought.return"} : (!agent.list_of<!agent.record_of<"search.Passage">>) -> ()
  }) {name = "bought", parameters = [{name = "id", required = true, type = !agent.int}], result = !agent.list_of<!agent.record_of<"search.Passage">>} : () -> ()
}
