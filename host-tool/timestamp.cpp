// coldseal timestamp: RFC 3161 timestamps for signatures already made, from an authority on the network or across another
// gap. Nothing is written before every timestamp is there; what was signed stays as it is.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/keys/random.hpp"
#include "crypto/timestamp.hpp"
#include "host-tool/command.hpp"
#include "host-tool/http_post.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/receipt_check.hpp"
#include "host-tool/report.hpp"
#include "host-tool/signed_file.hpp"
#include "host-tool/terminal.hpp"
#include "host-tool/trust.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/wire/request.hpp"

namespace host_tool {
namespace {

using base::Bytes;
using base::ByteView;
using base::Errc;
using base::fail;
using base::printable;
using base::Result;
namespace fs = std::filesystem;
namespace oids = der::oids;

struct TimestampOptions {
  std::vector<std::string> paths, authorities, trust;
  std::string response, queries, replies, digest = "sha256", slot = "all", policy;
  unsigned tries = 3, timeout = 20, pause = 2;
  bool again = false, json = false;
};

struct Wanted {   // one signature without a timestamp
  std::string file, slot;
  crypto::Digest imprint;
  std::string name() const { return imprint.hex(); }   // of its .tsq and .tsr
};

struct Stamped {   // of one signature
  Bytes token;
  std::string authority;   // where it came from, for people
};
using Tokens = std::map<std::string, Stamped>;   // by Wanted::name()

Result<crypto::Digest> imprint_of(ByteView signature, crypto::DigestAlgorithm algorithm) {
  const cms::SignedData data = TRY(cms::SignedData::parse(signature));
  if (data.signers().size() != 1)
    return fail(Errc::malformed, fmt::format("{} signers, one wanted", data.signers().size()));
  return crypto::digest_of(algorithm, data.signers().front().signature);
}

bool has_timestamp(ByteView signature) {
  const auto data = cms::SignedData::parse(signature);
  return data && data->signers().size() == 1 &&
         (data->signers().front().unsigned_attribute(oids::kSpcRfc3161Timestamp) != nullptr ||
          data->signers().front().unsigned_attribute(oids::kCounterSignature) != nullptr);
}

class Plan {   // which signatures of which files get a timestamp
 public:
  Plan(const TimestampOptions& options, crypto::DigestAlgorithm algorithm) : options_(options), algorithm_(algorithm) {}

  Result<void> add(const std::string& path) {
    const SignedFile file = TRY(SignedFile::open(path));
    TRY(file.first_signature());
    const std::size_t before = wanted_.size();
    for (std::size_t entry = 0; entry < file.signatures().size(); ++entry) {
      const auto look = [&](ByteView signature, const std::string& slot) -> Result<Bytes> {
        const std::string full = entry == 0 ? slot : fmt::format("entry {}, {}", entry + 1, slot);
        has_slot_ = has_slot_ || options_.slot == full;
        if ((options_.slot == "all" || options_.slot == full) && (options_.again || !has_timestamp(signature)))
          wanted_.push_back({path, full, TRY(imprint_of(signature, algorithm_))});
        return base::to_bytes(signature);
      };
      TRY(base::within(printable(path), cms::with_every_signature(file.signatures()[entry], look)));
    }
    if (wanted_.size() != before) files_.push_back(path);
    ++looked_at_;
    return {};
  }

  const std::vector<Wanted>& wanted() const { return wanted_; }
  const std::vector<std::string>& files() const { return files_; }
  std::size_t looked_at() const { return looked_at_; }
  // A name that no signature has is a mistake, not nothing to do.
  Result<void> expect_slot() const {
    if (options_.slot == "all" || has_slot_) return {};
    return fail(Errc::refused, "--slot " + printable(options_.slot) + ": no signature has this name; `signature list` shows them");
  }

  // The file with its timestamps.
  Result<void> write(const std::string& path, const Tokens& tokens) const {
    const SignedFile file = TRY(SignedFile::open(path));
    std::vector<Bytes> signatures;
    for (std::size_t entry = 0; entry < file.signatures().size(); ++entry) {
      const auto put = [&](ByteView signature, const std::string& slot) -> Result<Bytes> {
        const std::string full = entry == 0 ? slot : fmt::format("entry {}, {}", entry + 1, slot);
        if (options_.slot != "all" && options_.slot != full) return base::to_bytes(signature);
        if (!options_.again && has_timestamp(signature)) return base::to_bytes(signature);
        const crypto::Digest imprint = TRY(imprint_of(signature, algorithm_));
        const auto found = tokens.find(imprint.hex());
        if (found == tokens.end()) return fail(Errc::mismatch, "the file changed meanwhile: it has another signature");
        return cms::with_timestamp(signature, found->second.token);
      };
      Bytes stamped = TRY(base::within(printable(path), cms::with_every_signature(file.signatures()[entry], put)));
      TRY(base::within(printable(path), expect_same_but_timestamps(file.signatures()[entry], stamped)));
      signatures.push_back(std::move(stamped));
    }
    return file.replace(path, signatures);
  }

 private:
  // Every octet but the timestamps, nested signatures too. What is over the file is compared by SignedFile::replace().
  static Result<void> expect_same_but_timestamps(ByteView before, ByteView after) {
    const auto bare = [](ByteView der, const std::string&) { return cms::without_timestamp(der); };
    const Bytes was = TRY(cms::with_every_signature(before, bare));
    const Bytes is = TRY(cms::with_every_signature(after, bare));
    if (was != is) return fail(Errc::mismatch, "adding timestamps would change more than timestamps");
    return {};
  }

  const TimestampOptions& options_;
  crypto::DigestAlgorithm algorithm_;
  std::vector<Wanted> wanted_;
  std::vector<std::string> files_;
  bool has_slot_ = false;
  std::size_t looked_at_ = 0;
};

Bytes query_for(const Wanted& wanted, ByteView policy) {
  std::array<std::uint8_t, 8> nonce{};
  keys::fill_random(nonce);
  nonce[0] = static_cast<std::uint8_t>((nonce[0] & 0x7FU) | 0x40U);   // as it is written: positive, no zeros in front
  return crypto::timestamp_query(wanted.imprint, nonce, policy);
}

// One after the other, each for as many rounds as --tries says; the one that answered is asked first the next time.
Result<Stamped> ask(std::vector<HttpUrl>& authorities, const Wanted& wanted, ByteView policy, const Trust& trust,
                    const TimestampOptions& options) {
  std::string answers;
  for (unsigned round = 0; round < options.tries; ++round) {
    if (round > 0) std::this_thread::sleep_for(std::chrono::seconds(options.pause));
    for (std::size_t i = 0; i < authorities.size(); ++i) {
      const Bytes query = query_for(wanted, policy);   // a nonce of its own for each question
      const crypto::TimestampQuery asked = TRY(crypto::TimestampQuery::parse(query));
      auto reply = post_timestamp_query(authorities[i], query, std::chrono::seconds(options.timeout));
      auto token = reply ? base::within(authorities[i].text, crypto::token_answering(*reply, asked, trust.roots))
                         : Result<Bytes>(tl::unexpected<base::Error>(reply.error()));
      if (token) {
        std::rotate(authorities.begin(), authorities.begin() + static_cast<std::ptrdiff_t>(i), authorities.end());
        return Stamped{std::move(*token), authorities.front().text};
      }
      if (answers.find(token.error().text()) == std::string::npos) answers += "\n  " + token.error().text();
    }
  }
  return fail(Errc::refused, fmt::format("{} ({}): no timestamp, and nothing was written:{}", printable(wanted.file),
                                         wanted.slot, answers));
}

Result<Tokens> from_network(const Plan& plan, ByteView policy, const Trust& trust, const TimestampOptions& options) {
  std::vector<HttpUrl> authorities;
  for (const std::string& text : options.authorities) {
    HttpUrl url = TRY(base::within("--tsa", HttpUrl::parse(text)));
    authorities.push_back(std::move(url));
  }
  Tokens tokens;
  ProgressBar bar("timestamping");
  std::uint64_t done = 0;
  for (const Wanted& wanted : plan.wanted()) {
    if (!tokens.contains(wanted.name())) {
      Stamped stamped = TRY(ask(authorities, wanted, policy, trust, options));
      tokens.emplace(wanted.name(), std::move(stamped));
    }
    bar.show(++done, plan.wanted().size());
  }
  return tokens;
}

Result<void> write_queries(const Plan& plan, ByteView policy, const std::string& folder) {
  TRY(usb::make_folders(folder));
  for (const Wanted& wanted : plan.wanted()) {
    const fs::path file = fs::path(folder) / (wanted.name() + ".tsq");
    std::error_code ignored;
    if (fs::exists(file, ignored)) {   // asked before; its reply may be on its way
      fmt::print("{}  {} ({}), was there already\n", printable(file.string()), printable(wanted.file), wanted.slot);
      continue;
    }
    TRY(usb::write_file(file, query_for(wanted, policy)));
    fmt::print("{}  {} ({})\n", printable(file.string()), printable(wanted.file), wanted.slot);
  }
  return {};
}

Result<Tokens> from_replies(const Plan& plan, ByteView policy, const Trust& trust, const std::string& folder) {
  Tokens tokens;
  for (const Wanted& wanted : plan.wanted()) {
    const fs::path question = fs::path(folder) / (wanted.name() + ".tsq");
    const fs::path answer = fs::path(folder) / (wanted.name() + ".tsr");
    const Bytes query = TRY(base::within("the query that was asked", usb::read_file(question, base::limits::kTimestampBytes)));
    crypto::TimestampQuery asked = TRY(base::within(printable(question.string()), crypto::TimestampQuery::parse(query)));
    if (asked.imprint != wanted.imprint)
      return fail(Errc::mismatch, fmt::format("{}: is a query for another signature", printable(question.string())));
    if (!policy.empty()) asked.policy = base::to_bytes(policy);
    const Bytes reply = TRY(base::within(fmt::format("{} ({})", printable(wanted.file), wanted.slot),
                                         usb::read_file(answer, base::limits::kTimestampBytes)));
    Bytes token = TRY(base::within(printable(answer.string()), crypto::token_answering(reply, asked, trust.roots)));
    tokens.insert_or_assign(wanted.name(), Stamped{std::move(token), answer.string()});
  }
  return tokens;
}

// The files of a response: those that its receipt says were signed, if --trust names the key of the receipt; else every
// file with a signature.
Result<void> add_response(const fs::path& folder, const Trust& trust, Plan& plan) {
  std::error_code ignored;
  const fs::path receipt_file = folder / wire::kReceiptName;
  const bool is_response = fs::exists(receipt_file, ignored);
  const fs::path files = is_response ? folder / wire::kFilesFolder : folder;
  std::optional<transparency::Receipt> receipt;
  if (is_response && !trust.receipt_keys.empty()) {
    const Bytes text = TRY(usb::read_file(receipt_file, base::limits::kReceiptBytes));
    ReceiptVerdict verdict = check_receipt(base::as_text(text), trust.receipt_keys);
    if (!verdict.receipt)
      return fail(Errc::refused, fmt::format("{}: {}", printable(receipt_file.string()), verdict.findings.front().cause));
    receipt = std::move(verdict.receipt);
  }
  if (is_response && !fs::exists(files, ignored)) return {};   // a refusal has a receipt and no files
  const PackageFolder opened = TRY(PackageFolder::open(files));
  for (std::size_t i = 0; i < opened.files().size(); ++i) {
    const std::string& path = opened.files()[i].path;
    if (receipt) {
      const bool was_signed = std::any_of(receipt->outputs.begin(), receipt->outputs.end(), [&](const auto& output) {
        return output.path == path && transparency::is_signed_here(output.operation);
      });
      if (!was_signed) continue;
    }
    const bool may_be_signed = TRY(SignedFile::is_of_a_known_kind(opened.source(i)));
    if (!may_be_signed) continue;
    const std::string full = (files / path).string();
    const auto file = SignedFile::open(full);
    if (!file && (file.error().code() == Errc::unsupported || !receipt)) continue;   // whatever it is, nobody here signed it
    if (file && file->signatures().empty()) continue;
    TRY(plan.add(full));
  }
  return {};
}

Result<void> add_all(const std::string& folder, const Trust& trust, Plan& plan) {
  std::error_code error;
  if (fs::exists(fs::path(folder) / wire::kReceiptName, error)) return add_response(folder, trust, plan);
  std::vector<fs::path> responses;   // what collect made: a folder of responses
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (std::error_code ignored; fs::exists(at->path() / wire::kReceiptName, ignored)) responses.push_back(at->path());
  if (error) return fail(Errc::io, fmt::format("--all: {}: {}", printable(folder), error.message()));
  if (responses.empty()) return add_response(folder, trust, plan);
  std::sort(responses.begin(), responses.end());
  for (const fs::path& response : responses) TRY(add_response(response, trust, plan));
  return {};
}

Result<crypto::DigestAlgorithm> algorithm_named(const std::string& name) {
  for (const auto algorithm :
       {crypto::DigestAlgorithm::sha256, crypto::DigestAlgorithm::sha384, crypto::DigestAlgorithm::sha512})
    if (name == crypto::digest_name(algorithm)) return algorithm;
  return fail(Errc::usage, "--digest " + printable(name) + ": sha256, sha384 or sha512 wanted");
}

Result<void> expect_sound(const TimestampOptions& options) {
  const int ways = (options.authorities.empty() ? 0 : 1) + (options.queries.empty() ? 0 : 1) + (options.replies.empty() ? 0 : 1);
  if (ways != 1) return fail(Errc::usage, "one of --tsa, --queries and --replies is wanted");
  if (options.paths.empty() && options.response.empty()) return fail(Errc::usage, "PATH or --all is wanted: files to timestamp");
  if (options.tries == 0 || options.tries > 100 || options.timeout == 0 || options.timeout > 3600 || options.pause > 3600)
    return fail(Errc::usage, "--tries is 1 to 100, --timeout 1 to 3600 seconds, --pause at most 3600 seconds");
  return {};
}

void report(const Plan& plan, const Tokens& tokens, const TimestampOptions& options) {
  Json list = Json::array();
  for (const Wanted& wanted : plan.wanted()) {
    const Stamped& stamped = tokens.at(wanted.name());
    const auto token = crypto::TimestampToken::parse(stamped.token);
    const auto signer = token->signer();
    list.push_back({{"file", wanted.file},
                    {"slot", wanted.slot},
                    {"time", base::rfc3339(token->time())},
                    {"policy", der::dotted(token->policy())},
                    {"authority", signer ? signer->subject() : std::string()},
                    {"from", stamped.authority}});
  }
  if (options.json) return print_json({{"timestamps", std::move(list)}});
  for (const Json& entry : list)
    fmt::print("{} ({}): {} by {}\n", printable(entry["file"].get<std::string>()), entry["slot"].get<std::string>(),
               entry["time"].get<std::string>(), printable(entry["authority"].get<std::string>()));
}

Result<Exit> timestamp(const TimestampOptions& options) {
  TRY(expect_sound(options));
  const crypto::DigestAlgorithm algorithm = TRY(algorithm_named(options.digest));
  Bytes policy;
  if (!options.policy.empty()) policy = TRY(base::within("--tsa-policy", crypto::policy_from_text(options.policy)));
  const Trust trust = TRY(Trust::load(options.trust));
  Plan plan(options, algorithm);
  for (const std::string& path : options.paths) TRY(plan.add(path));
  if (!options.response.empty()) TRY(add_all(options.response, trust, plan));
  TRY(plan.expect_slot());
  if (plan.wanted().empty()) {
    if (options.json)
      print_json({{"timestamps", Json::array()}});
    else
      fmt::print("{} signed files, nothing to timestamp\n", plan.looked_at());
    return Exit::done;
  }
  if (!options.queries.empty()) {
    TRY(write_queries(plan, policy, options.queries));
    return Exit::done;
  }
  const Tokens tokens = TRY(options.replies.empty() ? from_network(plan, policy, trust, options)
                                                    : from_replies(plan, policy, trust, options.replies));
  for (const std::string& file : plan.files()) TRY(plan.write(file, tokens));
  report(plan, tokens, options);
  if (trust.roots.empty())
    fmt::print(stderr, "coldseal: no roots were given (--trust), so nothing says who the timestamp authority is\n");
  return Exit::done;
}

}  // namespace

void add_timestamp(base::Command& app, Run& run) {
  base::Command command = app.sub(
      "timestamp",
      "Adds RFC 3161 timestamps to signatures already made: of PE images (nested ones too), cabinets and catalogs. What was\n"
      "signed stays as it is. Files are replaced only when every timestamp is there.");
  const auto options = std::make_shared<TimestampOptions>();
  command.option("PATH", options->paths, "Signed files");
  command.option("--all", options->response, "A folder of collect: every file that was signed in it");
  command.option("--tsa", options->authorities, "A timestamp authority, http://...; several are asked in turn").one_each_time();
  command.option("--queries", options->queries, "Ask nobody: write the queries (.tsq) to this folder");
  command.option("--replies", options->replies, "Ask nobody: take the replies (.tsr) from the folder of the queries");
  command.option("--trust", options->trust, "Roots of authorities; and receipt keys, for --all. PEM files or folders of them")
      .one_each_time();
  command.option("--slot", options->slot, "Only this signature: primary, \"nested 1\", ...; else all of them");
  command.option("--digest", options->digest, "Of the signature in the query: sha256 (default), sha384 or sha512");
  command.option("--tsa-policy", options->policy, "The OID of the policy under which timestamps must be made");
  command.option("--tries", options->tries, "Rounds through the authorities; 3");
  command.option("--timeout", options->timeout, "Seconds for one question; 20");
  command.option("--pause", options->pause, "Seconds between two rounds; 2");
  command.flag("--again", options->again, "New timestamps in place of those that are there");
  command.flag("--json", options->json, "One JSON object");
  command.footer("Example:\n  coldseal timestamp --all signed/ID --tsa http://timestamp.example.com --trust tsa-root.pem");
  command.when_chosen([options, &run] { run = [options] { return timestamp(*options); }; });
}

}  // namespace host_tool
