// Flag spelling and parse errors; see flags.h.
#include "common/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config.h"
#include "common/version.h"

namespace regatta {
namespace {

std::string NormalizeName(std::string argument) {
  if (!absl::StartsWith(argument, "--")) return argument;
  // Behind a blank it is a value that begins like a flag: --a '--model /my_models/one'.
  const size_t end = std::min(argument.find_first_of("= "), argument.size());
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

// Says what is not known and the known name that is nearest; the exit code.
int RefuseUnknown(const CLI::App& command, const std::string& what) {
  std::cerr << what << "\n";
  const std::string nearest = NearestFlag(command, command.remaining(true));
  if (!nearest.empty()) std::cerr << "Did you mean " << nearest << "?\n";
  std::cerr << "Run with --help for what is known.\n";
  return 2;
}

// Prints what help, or what is wrong; the exit code. Hidden flags, which the library names "", name
// themselves.
int Refuse(const CLI::App& app, const CLI::ParseError& error) {
  const absl::string_view what = error.what();
  if (!absl::StartsWith(what, ": ")) return app.exit(error) == 0 ? 0 : 2;
  std::cerr << what.substr(2) << "\nRun with --help for more information.\n";
  return 2;
}

// A flag that was given "", as shells do with a variable that is not set; empty when there is none.
// First of those as "--flag=", which would take the argument behind it.
std::string EmptyFlag(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (absl::StartsWith(argument, "--") && argument.find('=') == argument.size() - 1) {
      return argument.substr(0, argument.size() - 1);
    }
  }
  return "";
}

// The library gives no name to flags that help does not show.
std::string NameOf(const CLI::Option& option) {
  const std::vector<std::string>& names = option.get_lnames();
  return names.empty() ? option.get_name() : "--" + names[0];
}

std::string EmptyFlag(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options()) {
    const std::vector<std::string>& values = option->results();
    const bool empty = std::find(values.begin(), values.end(), "") != values.end();
    if (empty) return NameOf(*option);
  }
  return "";
}

int RefuseEmpty(const std::string& flag) {
  std::cerr << flag << ": the value is empty; give one, or leave the flag out\n";
  return 2;
}

}  // namespace

std::vector<std::string> NormalizeArguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = argc - 1; i > 0; --i) arguments.push_back(NormalizeName(argv[i]));
  return arguments;
}

CLI::Validator InRange(const NumberRange& range) {
  return CLI::Validator([range](const std::string& text) { return range.Problem(text); },
                        range.Text());
}

CLI::Validator FiniteRange(double least, double most) { return InRange({least, most}); }

CLI::Validator WholeRange(int64_t least, int64_t most) {
  return InRange({static_cast<double>(least), static_cast<double>(most), /*whole=*/true});
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
  const std::vector<std::string> arguments = NormalizeArguments(argc, argv);
  if (const std::string empty = EmptyFlag(arguments); !empty.empty()) return RefuseEmpty(empty);
  app.set_version_flag("--version", std::string(kVersion) + " (" + BuildCommit() + ")");
  try {
    app.parse(std::vector<std::string>(arguments));
  } catch (const CLI::ExtrasError& error) {
    return RefuseUnknown(ActiveCommand(app), error.what());
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> words = app.remaining();
    const bool has_command = !app.get_subcommands().empty() || words.empty();
    if (!has_command) return RefuseUnknown(app, absl::StrCat("There is no command ", words[0]));
    return Refuse(app, error);
  } catch (const CLI::ParseError& error) {
    return Refuse(app, error);
  }
  const std::string empty = EmptyFlag(ActiveCommand(app));
  return empty.empty() ? -1 : RefuseEmpty(empty);
}

}  // namespace regatta
