// Where everything lies on the appliance; one root, so that a demo or a test has an appliance of its own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace appliance {

class Layout {
 public:
  explicit Layout(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const { return root_; }

  std::filesystem::path configuration() const { return root_ / "etc/coldseal/coldseal.toml"; }
  // One PEM public key for each enrolled submitter: submitters/NAME.pem.
  std::filesystem::path submitters() const { return root_ / "etc/coldseal/submitters"; }

  std::filesystem::path state() const { return root_ / "var/lib/coldseal"; }
  std::filesystem::path inbox() const { return state() / "inbox"; }     // written by the courier
  std::filesystem::path spool() const { return state() / "spool"; }     // the daemon's own copies
  std::filesystem::path outbox() const { return state() / "outbox"; }   // read by the courier
  std::filesystem::path audit_log() const { return state() / "log/audit.jsonl"; }
  // What the inspector said of each request, under its SHA-256, which the log names: kept as long as the log.
  std::filesystem::path inspections() const { return state() / "log/inspections"; }
  std::filesystem::path keys() const { return state() / "keys"; }
  std::filesystem::path key_class(std::string_view name) const { return keys() / name; }
  std::filesystem::path receipt_key() const { return keys() / "receipt"; }
  std::filesystem::path administrators() const { return keys() / "administrators.toml"; }
  std::filesystem::path firmware() const { return keys() / "firmware"; }   // vendors' keys and what they approved
  std::filesystem::path ceremony() const { return state() / "ceremony"; }  // how far it got, and its transcript

  std::filesystem::path runtime() const { return root_ / "run/coldseal"; }
  std::filesystem::path console_socket() const { return runtime() / "console.sock"; }
  std::filesystem::path status_socket() const { return runtime() / "status.sock"; }
  // Held by whichever program uses the TPM.
  std::filesystem::path tpm_lock() const { return runtime() / "tpm.lock"; }

 private:
  std::filesystem::path root_;
};

// What cannot be looked at is not there: opening it says why.
inline bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace appliance
