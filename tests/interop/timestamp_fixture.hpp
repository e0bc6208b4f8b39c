// A timestamp authority of openssl's, its root, and the roots that verdicts are given.
#pragma once

#include <string>
#include <vector>

#include "tests/interop/authenticode_fixture.hpp"

namespace tests {

class WithAuthority : public Authenticode {
 protected:
  void make_authority(const std::string& purpose = "critical,timeStamping") {
    openssl({"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", file("tsa-root.key"), "-out", file("tsa-root.pem"),
             "-subj", "/CN=TSA Root", "-days", "9000", "-addext", "keyUsage=critical,keyCertSign"});
    openssl({"req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", file("tsa.key"), "-out", file("tsa.csr"), "-subj",
             "/CN=TSA"});
    tests::write_text(dir_ / "tsa.ext", "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                                        "extendedKeyUsage=" + purpose + "\n");
    openssl({"x509", "-req", "-in", file("tsa.csr"), "-CA", file("tsa-root.pem"), "-CAkey", file("tsa-root.key"),
             "-CAcreateserial", "-days", "8000", "-sha256", "-extfile", file("tsa.ext"), "-out", file("tsa.pem")});
    tests::write_text(dir_ / "serial", "01\n");
    tests::write_text(dir_ / "tsa.cnf", "[tsa]\ndefault_tsa=t\n[t]\nserial=" + file("serial") +
                                            "\nsigner_digest=sha256\ndefault_policy=1.2.3.4\nother_policies=1.2.3.5\n"
                                            "digests=sha256\ness_cert_id_alg=sha256\n");
  }
  void reply(std::string_view query, std::string_view answer) const {
    openssl({"ts", "-reply", "-config", file("tsa.cnf"), "-section", "t", "-queryfile", file(query), "-signer",
             file("tsa.pem"), "-inkey", file("tsa.key"), "-out", file(answer)});
  }
  base::Bytes reply_to(const base::Bytes& query) const {
    tests::write_file(dir_ / "q.tsq", query);
    reply("q.tsq", "r.tsr");
    return tests::read_file(dir_ / "r.tsr");
  }
  std::vector<crypto::Certificate> roots(bool with_tsa) const {
    auto all = *crypto::certificates_from_pem(tests::read_text(dir_ / "root.pem"));
    const auto tsa = *crypto::certificates_from_pem(tests::read_text(dir_ / "tsa-root.pem"));
    if (with_tsa) all.push_back(tsa.front());
    return all;
  }
  base::Time expired() const {   // two years after the signer's certificate
    return crypto::certificates_from_pem(tests::read_text(dir_ / "leaf.pem"))->front().not_after() +
           std::chrono::hours(24 * 730);
  }
};

}  // namespace tests
