// Judging one signature, whatever file it is on: form, digests, key, chain, timestamp. For crypto/package only; what
// callers want is verification.hpp's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/cms/signed_data.hpp"
#include "crypto/package/verification.hpp"

namespace package {

struct Trust {   // a view: the roots must outlive it
  const std::vector<crypto::Certificate>& roots;
  base::Time time;
  Policy policy = Policy::authenticode;
};

// Adds findings to a verdict, each cause prefixed with where it is ("nested signature 1"), if anywhere special.
class Findings {
 public:
  explicit Findings(Verdict& verdict, std::string where = {}) : verdict_(verdict), where_(std::move(where)) {}
  void error(std::string id, std::string cause, std::string remedy) const {
    add(Severity::error, std::move(id), std::move(cause), std::move(remedy));
  }
  void warning(std::string id, std::string cause, std::string remedy) const {
    add(Severity::warning, std::move(id), std::move(cause), std::move(remedy));
  }
  void note(std::string id, std::string cause, std::string remedy) const {
    add(Severity::note, std::move(id), std::move(cause), std::move(remedy));
  }
  // Reports the error of a failed result; says whether it was good.
  bool expect(const base::Result<void>& result, std::string id, std::string remedy) const {
    if (!result) error(std::move(id), result.error().text(), std::move(remedy));
    return result.has_value();
  }
  Verdict& verdict() const { return verdict_; }
  bool is_primary() const { return where_.empty(); }

 private:
  void add(Severity severity, std::string id, std::string cause, std::string remedy) const {
    if (!where_.empty()) cause = where_ + ": " + cause;
    verdict_.findings.push_back({std::move(id), severity, {}, 0, std::move(cause), std::move(remedy)});
  }
  Verdict& verdict_;
  std::string where_;
};

inline constexpr std::string_view kGetAnother = "obtain the file again from where it was signed, or sign it again";
inline constexpr std::string_view kSignAgain = "sign the file again with a tool that writes the form of SignTool";

std::string chain_finding(crypto::ChainProblem::Kind kind);   // its id: "chain.untrusted"

// Everything about one signature except what its content says of a file, and except nested signatures. Only a primary
// signature fills signer, chain, timestamp and digests of the verdict.
void judge_signature(const cms::SignedData& data, const Trust& trust, const Findings& report);

}  // namespace package
