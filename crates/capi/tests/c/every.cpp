// Calls every function of cache_index.h, in C++17: handles are owned by std::unique_ptr, texts are
// std::string_view. Exits with 0 if all answers are right.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cache_index.h"

#define CHECK(what)                                                       \
  do {                                                                    \
    if (!(what)) {                                                        \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #what); \
      std::exit(1);                                                       \
    }                                                                     \
  } while (0)

namespace {

template <typename T, void (*free_it)(T *)>
struct Free {
  void operator()(T *it) const { free_it(it); }
};
template <typename T, void (*free_it)(T *)>
using Owned = std::unique_ptr<T, Free<T, free_it>>;
using Index = Owned<ci_index, ci_index_free>;
using Tenant = Owned<ci_tenant, ci_tenant_free>;
using Lease = Owned<ci_lease, ci_lease_free>;
using Entries = Owned<ci_entries, ci_entries_free>;
using Path = Owned<ci_path, ci_path_free>;
using Key = Owned<ci_key, ci_key_free>;
using Rules = Owned<ci_rules, ci_rules_free>;
using Ids = Owned<ci_ids, ci_ids_free>;

// A struct that begins with its size, all else zero.
template <typename T>
T sized() {
  T it{};
  it.size = sizeof it;
  return it;
}

ci_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string_view view(ci_str text) { return {text.ptr, text.len}; }

// Calls a function that makes a handle, and owns it.
template <typename Handle, typename Make>
Handle made(Make make) {
  typename Handle::pointer out = nullptr;
  auto error = sized<ci_error>();
  if (make(&out, &error) < 0) {
    std::fprintf(stderr, "%s\n", error.message);
    std::exit(1);
  }
  return Handle(out);
}

std::set<std::string> variants(Entries entries, std::uint64_t *sum) {
  std::set<std::string> found;
  auto entry = sized<ci_entry>();
  while (ci_entries_next(entries.get(), &entry, nullptr) == 1) {
    found.insert(std::string(view(entry.path)) + std::string(view(entry.variant)));
    *sum += entry.value;
  }
  CHECK(ci_entries_left(entries.get()) == 0);
  return found;
}

void library() {
  auto config = sized<ci_config>();
  config.queue_dead = 1;
  auto index = made<Index>([&](auto out, auto e) { return ci_index_new(&config, out, e); });
  ci_index *const i = index.get();
  auto tenant = made<Tenant>([&](auto o, auto e) { return ci_tenant_get(i, str("shop"), o, e); });
  ci_tenant *const t = tenant.get();
  auto path = made<Path>([](auto o, auto e) { return ci_path_new(str("x/a"), CI_OPAQUE, o, e); });
  auto key = made<Key>([](auto o, auto e) { return ci_key_new(str("?w=1"), CI_OPAQUE, o, e); });
  auto rules = made<Rules>([](auto o, auto e) { return ci_rules_new(nullptr, o, e); });
  auto ids = made<Ids>([](auto o, auto e) { return ci_ids_new(0, o, e); });
  auto error = sized<ci_error>();
  const ci_str a = str("x/a"), w = str("?w=1"), wide = str("?w=2");

  std::uint64_t id = 0, value = 0, sum = 0;
  CHECK(ci_ids_next(ids.get(), &id, &error) == CI_OK && id != 0);
  auto lease = made<Lease>([&](auto o, auto e) { return ci_lease_take(i, t, a, o, e); });
  auto other =
      made<Lease>([&](auto o, auto e) { return ci_lease_take_prepared(i, t, path.get(), o, e); });
  auto commit = sized<ci_commit>();
  CHECK(ci_lease_commit(lease.get(), w, id, &commit, &error) == CI_STORED);
  CHECK(ci_lease_commit_prepared(other.get(), key.get(), id + 1, &commit, &error) == CI_STORED);
  CHECK(commit.has_replaced && commit.replaced == id);
  CHECK(ci_lookup(i, t, a, w, &value, &error) == CI_LIVE && value == id + 1);
  CHECK(ci_lookup_prepared(i, t, path.get(), key.get(), &value, &error) == CI_LIVE);
  CHECK(ci_insert(i, t, a, wide, 4, nullptr, &error) == CI_STORED);
  const std::vector<ci_name> names{{a, w}, {a, str("?w=3")}, {a, wide}};
  std::vector<ci_found> found(names.size());
  CHECK(ci_lookup_many(i, t, names.data(), names.size(), found.data(), &error) == CI_OK);
  CHECK(found[0].state == CI_LIVE && found[1].state == CI_MISS && found[2].value == 4);
  Lease claimed;
  ci_lease *raw = nullptr;
  CHECK(ci_claim(i, t, a, str("?w=9"), 9, &value, &raw, &error) == CI_CLAIMED && value == 9);
  claimed.reset(raw);
  CHECK(ci_lease_commit_claimed(claimed.get(), nullptr, &error) == CI_STORED);
  CHECK(ci_remove(i, t, a, str("?w=9"), 9, &error) == 1);
  CHECK(ci_remove(i, t, a, w, id, &error) == 0 && ci_remove(i, t, a, w, id + 1, &error) == 1);

  CHECK(variants(made<Entries>([&](auto o, auto e) { return ci_variants(i, t, a, o, e); }), &sum) ==
        std::set<std::string>{"?w=2"});
  CHECK(variants(made<Entries>([&](auto o, auto e) { return ci_paths(i, t, str("x"), o, e); }),
                 &sum) == std::set<std::string>{"x/a"});
  auto purged = sized<ci_purged>();
  const auto purge_all = [&](auto out, auto e) {
    return ci_purge(i, t, a, CI_HARD, &purged, out, e);
  };
  CHECK(variants(made<Entries>(purge_all), &sum).size() == 1 && sum == 4);
  CHECK(ci_purge_variants(i, t, a, &w, 1, CI_SOFT, &purged, nullptr, &error) == CI_OK);
  CHECK(ci_purge_operations(i, t, a, rules.get(), &w, 1, CI_SOFT, &purged, nullptr, &error) == 0);
  CHECK(purged.variants == 0);
  CHECK(ci_insert(i, t, a, w, 8, nullptr, &error) == CI_STORED);
  CHECK(ci_purge_prefix(i, t, str("x/"), CI_HARD, &purged, &error) == CI_OK);
  CHECK(ci_flush(i, t, CI_HARD, &purged, &error) == CI_OK);
  CHECK(ci_flush(i, nullptr, CI_SOFT, nullptr, &error) == CI_OK);
  CHECK(ci_flush_over(i, t, 1000, CI_LIVE, &purged, &error) == CI_OK);
  int done = 0;
  while (done == 0) {
    variants(made<Entries>([&](auto o, auto e) { return done = ci_reclaim(i, 10, o, e); }), &sum);
  }
  CHECK(sum == 4 + 8);
  auto stats = sized<ci_stats>();
  CHECK(ci_stats_get(i, &stats, &error) == CI_OK && stats.dead == 0 && stats.purges == 3);
  CHECK(ci_tenant_forget(i, t, nullptr, &error) == CI_OK);
  CHECK(ci_insert(i, t, a, w, 8, &commit, &error) == CI_REFUSED);
  CHECK(commit.reason == CI_REASON_FORGOTTEN);
}

void names() {
  auto rules = made<Rules>([](auto o, auto e) {
    auto config = sized<ci_rules_config>();
    config.token = str("doc");
    return ci_rules_new(&config, o, e);
  });
  std::string buffer(100, '\0');
  auto out = sized<ci_names>();
  auto error = sized<ci_error>();
  const auto read = [&](auto function, std::string_view text) {
    return function(rules.get(), str(text), buffer.data(), buffer.size(), &out, &error);
  };
  CHECK(read(ci_request_target, "/a.li/b%63.jpg?width=1") == CI_OK);
  CHECK(view(out.path) == "a.li/bc.jpg" && view(out.variant) == "?w=1");
  CHECK(read(ci_delivery_url, "//doc.cloudimg.io/a.li/b.jpg") == CI_OK);
  CHECK(view(out.path) == "a.li/b.jpg" && view(out.variant) == "?");
  CHECK(read(ci_invalidation_entry, "a.li/b.jpg") == CI_OK && out.target == CI_TARGET_PATH);
  CHECK(read(ci_variant_entry, "a.li/b.jpg?w=1") == CI_OK && view(out.variant) == "?w=1");
  CHECK(read(ci_request_target, "/a.li/%2") == CI_ERR_TEXT && error.at == 6);
  CHECK(std::string_view(ci_code_name(CI_ERR_TEXT)) == "CI_ERR_TEXT");
}

void threads() {
  auto index = made<Index>([](auto out, auto e) { return ci_index_new(nullptr, out, e); });
  auto tenant = made<Tenant>(
      [&](auto o, auto e) { return ci_tenant_get(index.get(), str("shop"), o, e); });
  std::vector<std::thread> all;
  for (int n = 0; n < 8; n++) {
    all.emplace_back([&, n] {
      for (int round = 0; round < 1000; round++) {
        const auto path = "x/" + std::to_string((round + n) % 20);
        auto lease = made<Lease>([&](auto o, auto e) {
          return ci_lease_take(index.get(), tenant.get(), str(path), o, e);
        });
        if (round % 8 == n) {
          CHECK(ci_purge(index.get(), tenant.get(), str(path), CI_HARD, nullptr, nullptr,
                         nullptr) == CI_OK);
          CHECK(ci_lease_commit(lease.get(), str("w"), 1, nullptr, nullptr) == CI_REFUSED);
        } else {
          CHECK(ci_lease_commit(lease.get(), str("w"), 1, nullptr, nullptr) >= 0);
        }
      }
    });
  }
  for (auto &thread : all) thread.join();
}

}  // namespace

int main() {
  CHECK(ci_version() == (CI_VERSION_MAJOR << 16 | CI_VERSION_MINOR << 8 | CI_VERSION_PATCH));
  library();
  names();
  threads();
  std::puts("every function answers as its documentation says");
}
