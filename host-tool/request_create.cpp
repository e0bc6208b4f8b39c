// coldseal request create: a package and what is asked of the appliance, signed by its submitter.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/words.hpp"
#include "crypto/keys/pkcs8.hpp"
#include "crypto/keys/random.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/package/os_targets.hpp"
#include "crypto/transparency/dsse.hpp"
#include "crypto/transparency/json_fields.hpp"
#include "host-tool/command.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/report.hpp"
#include "host-tool/submitter_file.hpp"
#include "host-tool/terminal.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/mass_storage/stick.hpp"
#include "usb/wire/request.hpp"

namespace host_tool {
namespace {

using base::Errc;
using base::fail;
using base::Result;

struct RequestOptions {
  std::string folder;
  std::string profile;
  std::string os;
  std::string key;
  std::string pass_phrase_file;
  std::string operations = "embed,catalog";
  std::string note;
  std::string to;
  bool force = false;
};

Result<std::vector<wire::Operation>> operations_from_list(std::string_view list) {
  std::vector<wire::Operation> operations;
  for (const std::string_view name : base::comma_list(list)) {
    const Result<wire::Operation> operation = wire::operation_from_name(base::trim(name));
    if (!operation) return fail(Errc::usage, "--operations: " + operation.error().text());
    operations.push_back(*operation);
  }
  std::sort(operations.begin(), operations.end());
  operations.erase(std::unique(operations.begin(), operations.end()), operations.end());
  return operations;
}

// What can be said wrong on the command line, before anything is read.
Result<wire::Request> asked_for(const RequestOptions& options, base::Time now) {
  wire::Request request;
  if (!transparency::is_name(options.profile))
    return fail(Errc::usage, fmt::format("--profile: \"{}\" is not a name (A-Z a-z 0-9 . _ -, at most {})",
                                         base::printable(options.profile), base::limits::kNameBytes));
  request.profile = options.profile;
  const auto targets = TRY(base::within("--os", package::os_targets_from_list(options.os)));
  for (const package::OsTarget* const target : targets) request.os_targets.emplace_back(target->name);
  request.operations = TRY(operations_from_list(options.operations));
  if (!base::is_utf8(options.note) || options.note.size() > base::limits::kNoteBytes)
    return fail(Errc::usage, fmt::format("--note: UTF-8 of at most {} bytes wanted", base::limits::kNoteBytes));
  request.note = options.note;
  request.created = now;
  keys::fill_random(request.nonce);
  return request;
}

Result<void> expect_names(const PackageFolder& folder) {
  if (folder.files().empty()) return fail(Errc::usage, "the folder has no files in it");
  const std::vector<std::string> problems = folder.path_problems();
  if (problems.empty()) return {};
  for (const std::string& problem : problems) fmt::print(stderr, "{}\n", problem);
  return fail(Errc::refused, fmt::format("{} names cannot go to the appliance (listed above); rename or remove the files",
                                         problems.size()));
}

// Whether the request may be made: the findings are shown either way.
bool passes_inspection(const PackageFolder& folder, const wire::Request& request, bool force) {
  const package::Inspection inspection = package::inspect(folder.sources(), request.os_targets, request.created);
  print_findings(inspection.findings);
  if (!inspection.has_errors()) return true;
  if (force) {
    fmt::print(stderr, "coldseal: the package has errors; the request is made because of --force, and the appliance "
                       "may refuse it\n");
    return true;
  }
  fmt::print(stderr, "coldseal: the package has errors and the appliance would refuse it; no request was made\n");
  return false;
}

Result<std::vector<wire::FileEntry>> digested(const PackageFolder& folder) {
  std::vector<wire::FileEntry> entries;
  ProgressBar bar("reading the package");
  std::uint64_t done = 0;
  for (std::size_t i = 0; i < folder.files().size(); ++i) {
    const usb::FoundFile& file = folder.files()[i];
    const base::ByteSource& source = folder.source(i);
    crypto::Hasher hasher(crypto::DigestAlgorithm::sha256);
    TRY(base::for_each_piece(source, 0, source.size(), [&](base::ByteView piece) -> Result<void> {
      hasher.update(piece);
      bar.show(done += piece.size(), folder.bytes());
      return {};
    }));
    entries.push_back({file.path, file.size, std::move(hasher).finish()});
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return entries;
}

Result<Exit> create(const RequestOptions& options, base::Time now) {
  wire::Request request = TRY(asked_for(options, now));
  const mass_storage::Stick stick = TRY(base::within("--to", mass_storage::Stick::open(options.to)));
  const PackageFolder folder = TRY(PackageFolder::open(options.folder));
  TRY(expect_names(folder));
  if (!passes_inspection(folder, request, options.force)) return Exit::refused;
  keys::SubmitterKey key = TRY(submitter_key_from(options.key, options.pass_phrase_file));
  request.files = TRY(digested(folder));
  TRY(folder.expect_unchanged());

  const std::string json = request.to_json();
  TRY(wire::Request::from_json(json));   // what the appliance would refuse never leaves
  const transparency::Envelope envelope = TRY(transparency::Envelope::sign(transparency::kRequestPayloadType, json, key));
  const std::string id = envelope.payload_digest().hex();
  std::vector<std::string> paths;
  for (const wire::FileEntry& file : request.files) paths.push_back(file.path);
  {
    ProgressBar bar("writing the request");
    TRY(stick.put_request(id, base::as_bytes(envelope.text()), options.folder, paths,
                          [&](const usb::Progress& progress) -> Result<void> {
                            bar.show(progress.done, progress.total);
                            return {};
                          }));
  }
  fmt::print("request   {}\nin words  {}\nfiles     {} ({} bytes)\nsubmitter {}\nwritten   {}\n", id,
             base::fingerprint_words(envelope.payload_digest().bytes()), request.files.size(), folder.bytes(),
             envelope.claimed_keyid(),
             (std::filesystem::path(options.to) / wire::kRequestsFolder / id).string());
  return Exit::done;
}

}  // namespace

void add_request(base::Command& app, Run& run, base::Time now) {
  base::Command request = app.sub("request", "Requests for the appliance");
  request.needs_sub();
  base::Command command = request.sub(
      "create",
      "Inspects a driver package, signs a manifest of every file in it, and writes both to a stick or a folder.\n"
      "Errors found in the package stop it, unless --force.");
  const auto options = std::make_shared<RequestOptions>();
  command.option("DIR", options->folder, "Folder of the package: INF files and everything they name").required();
  command.option("--profile", options->profile, "Profile of the appliance to sign under").required();
  command.option("--os", options->os, "Operating systems, as Inf2Cat's /os: takes them: 10_X64,10_RS5_ARM64").required();
  command.option("--key", options->key, "Private key of the submitter (coldseal key create)").required();
  command.option("--passphrase-file", options->pass_phrase_file,
                      "Take the key's pass phrase from the first line of this file instead of the terminal");
  command.option("--operations", options->operations,
                      "What is asked: embed (signatures into PE files), catalog (make and sign catalogs), append (to files that are signed),\n"
                      "cabinet (signatures into cabinets), page-hashes (in the signatures of PE files)")
      .shows_default();
  command.option("--note", options->note, "What officers should know; shown on the appliance's screen");
  command.option("--to", options->to, "Where the stick is mounted, or any folder that exists").required();
  command.flag("--force", options->force, "Make the request although the inspection found errors");
  command.footer("Example:\n  coldseal request create ./mydriver --profile release --os 10_X64 --key build.pem --to /media/stick");
  command.when_chosen([options, &run, now] { run = [options, now] { return create(*options, now); }; });
}

}  // namespace host_tool
