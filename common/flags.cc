// Flag spelling and parse errors; see flags.h.
#include "common/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/config.h"
#include "common/version.h"

namespace regatta {
namespace {

std::string NormalizeName(std::string argument) {
  if (!absl::StartsWith(argument, "--")) return argument;
  const size_t end = std::min(argument.find('='), argument.size());
  std::replace(argument.begin() + 2, argument.begin() + end, '_', '-');
  return argument;
}

// The subcommand whose flags the user was typing: the deepest one that was parsed.
const CLI::App& ActiveCommand(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : ActiveCommand(*parsed.back());
}

std::string NearestFlag(const CLI::App& command, const std::vector<std::string>& unknown) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* sub : command.get_subcommands({})) names.push_back(sub->get_name());
  for (const std::string& word : unknown) {
    std::string nearest = Nearest(word.substr(0, word.find('=')), names);
    if (!nearest.empty()) return nearest;
  }
  return "";
}

}  // namespace

std::vector<std::string> NormalizeArguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) arguments.push_back(NormalizeName(argv[i]));
  return arguments;
}

CLI::Validator FiniteRange(double least, double most) {
  const std::string range = absl::StrCat("[", least, " - ", most, "]");
  const auto check = [least, most, range](const std::string& text) -> std::string {
    double value = 0;
    if (absl::SimpleAtod(text, &value) && value >= least && value <= most) return "";
    return absl::StrCat("Value ", text, " not in range ", range);
  };
  return CLI::Validator(check, absl::StrCat("FLOAT in ", range));
}

void AddTlsFlags(CLI::App& app, TlsOptions& tls) {
  app.add_option("--tls-cert", tls.cert, "PEM certificate of this program")->group("TLS");
  app.add_option("--tls-key", tls.key, "PEM private key of this program")->group("TLS");
  app.add_option("--tls-ca", tls.ca, "PEM authority that the other side must be signed by")
      ->group("TLS");
  app.add_flag("--insecure", tls.insecure,
               "allow plaintext gRPC off loopback (stamped into results)")
      ->group("TLS");
}

int ParseFlags(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", std::string(kVersion) + " (" + BuildCommit() + ")");
  try {
    app.parse(NormalizeArguments(argc, argv));
    return -1;
  } catch (const CLI::ExtrasError& error) {
    const CLI::App& command = ActiveCommand(app);
    std::cerr << error.what() << "\n";
    const std::string nearest = NearestFlag(command, command.remaining(true));
    if (!nearest.empty()) std::cerr << "Did you mean " << nearest << "?\n";
    std::cerr << "Run with --help for what is known.\n";
    return 2;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
}

}  // namespace regatta
