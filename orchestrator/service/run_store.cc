// One table of runs; see run_store.h.
#include "orchestrator/service/run_store.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "orchestrator/terminal/printable.h"

namespace regatta {
namespace {

constexpr char kCreate[] = R"(
BEGIN;
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  state INTEGER NOT NULL,           -- RunState of proto/orchestrator.proto
  label TEXT NOT NULL,
  target TEXT NOT NULL,
  flags TEXT NOT NULL,              -- JSON array
  created_utc TEXT NOT NULL,
  started_utc TEXT NOT NULL,
  ended_utc TEXT NOT NULL,
  error TEXT NOT NULL,
  restarts INTEGER NOT NULL,
  points_planned INTEGER NOT NULL,
  points_done INTEGER NOT NULL,
  completed_requests INTEGER NOT NULL,
  failed_requests INTEGER NOT NULL,
  best_output_tok_s REAL NOT NULL,
  best_user_tok_s REAL NOT NULL);
CREATE INDEX runs_by_state ON runs (state, id);
PRAGMA user_version = 1;
COMMIT;)";
constexpr char kAddServerAndCommand[] = R"(
BEGIN;
ALTER TABLE runs ADD COLUMN server TEXT NOT NULL DEFAULT '';
UPDATE runs SET server = target;
ALTER TABLE runs ADD COLUMN command TEXT NOT NULL DEFAULT 'sweep';
PRAGMA user_version = 2;
COMMIT;)";
constexpr const char* kUpgrades[] = {kCreate,
                                     kAddServerAndCommand};  // from each schema to the next
constexpr int64_t kSchemaVersion = std::size(kUpgrades);
constexpr char kColumns[] =
    "SELECT id, state, label, target, flags, created_utc, started_utc, ended_utc, error, restarts, "
    "points_planned, points_done, completed_requests, failed_requests, best_output_tok_s, "
    "best_user_tok_s, server, command FROM runs ";
constexpr char kPut[] =
    "INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
    "?14, ?15, ?16, ?17, ?18)";

std::string JsonOf(const google::protobuf::RepeatedPtrField<std::string>& flags) {
  return nlohmann::json(std::vector<std::string>(flags.begin(), flags.end())).dump();
}

RunSummary RunOf(const Statement& row) {
  RunSummary run;
  run.set_id(row.Text(0));
  run.set_state(static_cast<RunState>(row.Integer(1)));
  run.set_label(row.Text(2));
  run.set_target(row.Text(3));
  const auto flags = nlohmann::json::parse(row.Text(4), nullptr, /*allow_exceptions=*/false);
  for (const auto& flag : flags) {
    if (flag.is_string()) run.add_flags(flag.get<std::string>());
  }
  run.set_created_utc(row.Text(5));
  run.set_started_utc(row.Text(6));
  run.set_ended_utc(row.Text(7));
  run.set_error(row.Text(8));
  run.set_restarts(static_cast<uint32_t>(row.Integer(9)));
  run.set_points_planned(static_cast<uint32_t>(row.Integer(10)));
  run.set_points_done(static_cast<uint32_t>(row.Integer(11)));
  run.set_completed_requests(static_cast<uint32_t>(row.Integer(12)));
  run.set_failed_requests(static_cast<uint32_t>(row.Integer(13)));
  run.set_best_output_tok_s(row.Real(14));
  run.set_best_user_tok_s(row.Real(15));
  run.set_server(row.Text(16));
  run.set_command(row.Text(17));
  MakePrintable(run);  // older services stored bytes that no message can carry
  return run;
}

absl::StatusOr<std::vector<RunSummary>> AllOf(Statement statement) {
  std::vector<RunSummary> runs;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return runs;
    runs.push_back(RunOf(statement));
  }
}

absl::Status NoSuchRun(const std::string& id) {
  return absl::NotFoundError(
      absl::StrCat("there is no run '", id.substr(0, 40), "': `regatta runs` lists them"));
}

}  // namespace

bool HasEnded(RunState state) {
  return state == RUN_DONE || state == RUN_FAILED || state == RUN_CANCELLED;
}

absl::StatusOr<RunStore> RunStore::Open(const std::string& path) {
  ASSIGN_OR_RETURN(Database database, Database::Open(path));
  int64_t version = 0;
  {
    ASSIGN_OR_RETURN(Statement statement, database.Prepare("PRAGMA user_version"));
    RETURN_IF_ERROR(statement.Step().status());
    version = statement.Integer(0);
  }
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(absl::StrCat("'", path, "' has schema ", version,
                                                      ", this program knows up to ", kSchemaVersion,
                                                      ": it was used by a newer one"));
  }
  for (; version < kSchemaVersion; ++version) {
    RETURN_IF_ERROR(database.Execute(kUpgrades[version]));
  }
  return RunStore(std::move(database));
}

absl::StatusOr<std::string> RunStore::NextId() {
  ASSIGN_OR_RETURN(Statement statement,
                   database_.Prepare("SELECT coalesce(max(id), 0) + 1 FROM runs"));
  RETURN_IF_ERROR(statement.Step().status());
  return statement.Text(0);
}

absl::Status RunStore::Put(const RunSummary& run) {
  int64_t id = 0;
  if (!absl::SimpleAtoi(run.id(), &id)) return NoSuchRun(run.id());
  ASSIGN_OR_RETURN(Statement statement, database_.Prepare(kPut));
  statement.Bind(1, id);
  statement.Bind(2, static_cast<int64_t>(run.state()));
  statement.Bind(3, run.label());
  statement.Bind(4, run.target());
  statement.Bind(5, JsonOf(run.flags()));
  statement.Bind(6, run.created_utc());
  statement.Bind(7, run.started_utc());
  statement.Bind(8, run.ended_utc());
  statement.Bind(9, run.error());
  statement.Bind(10, int64_t{run.restarts()});
  statement.Bind(11, int64_t{run.points_planned()});
  statement.Bind(12, int64_t{run.points_done()});
  statement.Bind(13, int64_t{run.completed_requests()});
  statement.Bind(14, int64_t{run.failed_requests()});
  statement.Bind(15, run.best_output_tok_s());
  statement.Bind(16, run.best_user_tok_s());
  statement.Bind(17, run.server());
  statement.Bind(18, run.command());
  return statement.Step().status();
}

absl::StatusOr<RunSummary> RunStore::Get(const std::string& id) {
  int64_t number = 0;
  if (!absl::SimpleAtoi(id, &number)) return NoSuchRun(id);
  static const std::string kSql = absl::StrCat(kColumns, "WHERE id = ?1");
  ASSIGN_OR_RETURN(Statement statement, database_.Prepare(kSql.c_str()));
  statement.Bind(1, number);
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return NoSuchRun(id);
  return RunOf(statement);
}

absl::StatusOr<std::vector<RunSummary>> RunStore::Newest(uint32_t limit) {
  static const std::string kSql = absl::StrCat(kColumns, "ORDER BY id DESC LIMIT ?1");
  ASSIGN_OR_RETURN(Statement statement, database_.Prepare(kSql.c_str()));
  statement.Bind(1, int64_t{limit});
  return AllOf(std::move(statement));
}

absl::StatusOr<std::vector<RunSummary>> RunStore::Unended() {
  static const std::string kSql = absl::StrCat(kColumns, "WHERE state IN (1, 2, 3) ORDER BY id");
  static_assert(RUN_QUEUED == 1 && RUN_RUNNING == 2 && RUN_CANCELLING == 3);
  ASSIGN_OR_RETURN(Statement statement, database_.Prepare(kSql.c_str()));
  return AllOf(std::move(statement));
}

}  // namespace regatta
