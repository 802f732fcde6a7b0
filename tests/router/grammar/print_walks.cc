// Prints random outputs of every schema of schemas.json, one JSON array [schema index, output text]
// a line, for check_walks.py. Argument: how many per schema.
#include <cstdio>
#include <cstdlib>

#include "common/check.h"
#include "tests/router/grammar/grammar_fixture.h"

int main(int argc, char** argv) {
  using namespace regatta;
  const int count = argc > 1 ? std::atoi(argv[1]) : 20;
  const std::unique_ptr<Tokenizer> tokenizer = MakeVocabulary(JsonTokens());
  const std::unique_ptr<ConstraintCompiler> compiler =
      MakeJsonConstraintCompiler(*tokenizer, {EndTokenOf(*tokenizer)});
  std::mt19937 random(7);
  for (size_t i = 0; i < SchemaCases().size(); ++i) {
    for (int k = 0; k < count; ++k) {
      auto constraint = Compile(*compiler, SchemaCases()[i].schema.dump());
      CHECK(constraint.ok()) << constraint.status();
      const std::string text = RandomWalk(**constraint, *tokenizer, k * 5, random);
      std::puts(OrderedJson::array({i, text}).dump().c_str());
    }
  }
}
