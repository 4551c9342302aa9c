/** compose BACKEND MODEL: composes and finalises a model's graphs in a backend, in this folder. */

#include "failure.hpp"
#include "session.hpp"

int main(int argc, char** argv) {
  return openqnn::run("compose", [&] {
    if (argc != 3) throw openqnn::Failure(openqnn::Exit::usage, "compose BACKEND MODEL");
    const openqnn::Backend backend(argv[1], "error");
    auto models = openqnn::loadModels(argv[2], "QnnModel");
    const openqnn::Compiled compiled(backend, models, {}, false, nullptr);
  });
}
