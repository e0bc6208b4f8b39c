// From a spooled request to what the TPM would be asked to sign, and from signatures to the files that go back. The
// daemon finds every digest itself; of the inspector's answer only bounded strings (File, OSAttr, OS, hardware ids) go
// in, and every catalog member must be a file of the manifest.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "appliance/embedding.hpp"
#include "appliance/key_store.hpp"
#include "appliance/spooled_request.hpp"
#include "crypto/base/result.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/deny_list.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/transparency/receipt.hpp"
#include "crypto/transparency/signing_set.hpp"

namespace appliance {

class SigningPlan {
 public:
  // Reads every file of the request once more. Errc::mismatch when one is not what the manifest says; Errc::refused for what
  // must not be signed (an ambiguous PE, a catalog that names files from elsewhere, a delivered catalog that is not about the files).
  // The order is the order of signing: embedded signatures by path, then catalogs by path; of two signatures in one file SHA-1 first.
  static base::Result<SigningPlan> make(const SpooledRequest& spooled, const package::Inspection& inspection,
                                        const KeyClass& key_class, const crypto::SigningIdentity& identity,
                                        const crypto::Digest& profile, const SignatureForm& form = {});

  const transparency::SigningSet& set() const { return set_; }
  std::vector<crypto::Digest> digests() const;
  crypto::Sha1 sha1() const { return sha1_; }   // whether SHA-1 digests are among them

  // What the catalogs to be signed say, for officers: found from the lists themselves, not from what the inspector said.
  struct CatalogSummary {
    std::string path;
    bool is_delivered = false;   // came with the package, and is signed as it is
    unsigned version = 2;
    std::string os;              // "" for none
    std::vector<std::string> hardware_ids;
    struct Member {
      std::string path;      // of the file in the request
      std::string file;      // what the catalog calls it; "" for nothing
      std::string os_attr;   // "" for none
      formats::MemberKind kind{};
      bool has_page_hashes = false;
    };
    std::vector<Member> members;
  };
  const std::vector<CatalogSummary>& catalogs() const { return catalogs_; }

  // Of every file of the request, as they were found here.
  const std::vector<package::FileDigests>& files() const { return files_; }

  // What carry_out() will give, as far as it is known before: every path and operation, sorted by path, with the digest of nothing where a signature comes in.
  std::vector<transparency::OutputFile> outputs_to_come() const;

  // Signs item by item (sign is called once for each digest of the set, in order), then writes every file of the response
  // below folder, which must be empty; a signature that is not the key's over that digest stops it before anything is written. What was not signed is copied unchanged. The result is sorted by path.
  base::Result<std::vector<transparency::OutputFile>> carry_out(
      const SpooledRequest& spooled, const std::filesystem::path& folder,
      const std::function<base::Result<base::Bytes>(const crypto::Digest&)>& sign) const;

 private:
  struct Item {
    std::string path;
    cms::UnsignedData data;
    std::optional<cms::UnsignedData> sha1;   // signed first, and data's signature nested in it
    std::optional<Embedding> embedding;   // of a file that holds its signature; without it this is a catalog
    bool is_delivered_catalog = false;
  };
  struct Copied {
    std::string path;
    transparency::OutputOperation operation;
    crypto::Digest sha256;
  };
  static transparency::OutputOperation operation_of(const Item& item);
  static base::Result<base::Bytes> sign_item(const Item& item, const std::function<base::Result<base::Bytes>(const crypto::Digest&)>& sign);
  static base::Result<void> write_item(const SpooledRequest& spooled, const Item& item, base::ByteView signed_data,
                                       const std::filesystem::path& to, std::vector<transparency::OutputFile>& outputs);
  static base::Result<void> write_copy(const SpooledRequest& spooled, const Copied& copied, const std::filesystem::path& to,
                                       std::vector<transparency::OutputFile>& outputs);

  transparency::SigningSet set_{{}, {}, crypto::sha256({})};
  std::vector<Item> items_;
  crypto::Sha1 sha1_ = crypto::Sha1::refused;
  std::vector<Copied> copied_;
  std::vector<CatalogSummary> catalogs_;
  std::vector<package::FileDigests> files_;
};

}  // namespace appliance
