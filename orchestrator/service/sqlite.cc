// See sqlite.h.
#include "orchestrator/service/sqlite.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace regatta {
namespace {

absl::Status ErrorOf(sqlite3* database) {
  return absl::UnavailableError(absl::StrCat("database: ", sqlite3_errmsg(database)));
}

}  // namespace

void Statement::Bind(int parameter, absl::string_view text) {
  sqlite3_bind_text(statement_.get(), parameter, text.data(), static_cast<int>(text.size()),
                    SQLITE_TRANSIENT);
}

void Statement::Bind(int parameter, int64_t value) {
  sqlite3_bind_int64(statement_.get(), parameter, value);
}

void Statement::Bind(int parameter, double value) {
  sqlite3_bind_double(statement_.get(), parameter, value);
}

absl::StatusOr<bool> Statement::Step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return ErrorOf(sqlite3_db_handle(statement_.get()));
}

std::string Statement::Text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::Real(int column) const { return sqlite3_column_double(statement_.get(), column); }

absl::StatusOr<Database> Database::Open(const std::string& path) {
  constexpr int kBusyMs = 5000;  // that another process, such as the sqlite3 shell, may hold it
  sqlite3* opened = nullptr;
  const int result = sqlite3_open(path.c_str(), &opened);
  Database database(opened);
  if (result != SQLITE_OK) {
    return absl::UnavailableError(absl::StrCat("'", path, "': ", sqlite3_errstr(result)));
  }
  sqlite3_busy_timeout(opened, kBusyMs);
  const absl::Status ready =
      database.Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  if (ready.ok()) return database;
  return absl::UnavailableError(absl::StrCat("'", path, "': ", ready.message()));
}

absl::StatusOr<Statement> Database::Prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql, -1, &statement, nullptr) != SQLITE_OK) {
    return ErrorOf(database_.get());
  }
  return Statement(statement);
}

absl::Status Database::Execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return ErrorOf(database_.get());
}

}  // namespace regatta
