// SPDX-License-Identifier: Apache-2.0
#include "runtime/context/topology.hpp"

#include <algorithm>

#include <hwloc.h>

#include "runtime/base/error.hpp"
#include "runtime/base/handle.hpp"

namespace lockstep {

namespace {

struct TreeTraits {
  using type = hwloc_topology_t;
  static hwloc_topology_t null() { return nullptr; }
  static void destroy(hwloc_topology_t tree) noexcept { hwloc_topology_destroy(tree); }
};

struct BitmapTraits {
  using type = hwloc_bitmap_t;
  static hwloc_bitmap_t null() { return nullptr; }
  static void destroy(hwloc_bitmap_t bits) noexcept { hwloc_bitmap_free(bits); }
};
using Bitmap = UniqueHandle<BitmapTraits>;

void check_hwloc(int code, const char* what) {
  if (code != 0) throw_errno(std::string("hwloc: ") + what);
}

Bitmap affinity_mask(hwloc_topology_t tree) {
  Bitmap mask(hwloc_bitmap_alloc());
  if (hwloc_get_cpubind(tree, mask.get(), HWLOC_CPUBIND_PROCESS) != 0) {
    // A system without binding: everything is allowed.
    check_hwloc(hwloc_bitmap_copy(mask.get(), hwloc_topology_get_allowed_cpuset(tree)), "copy");
  }
  return mask;
}

Cache cache_at(hwloc_topology_t tree, hwloc_obj_type_t type, int level) {
  const int count = hwloc_get_nbobjs_by_type(tree, type);
  const hwloc_obj_t first = hwloc_get_obj_by_type(tree, type, 0);
  return {level, first ? first->attr->cache.size : 0, std::max(count, 0)};
}

}  // namespace

struct Topology::Tree {
  UniqueHandle<TreeTraits> handle;
  hwloc_topology_t get() const { return handle.get(); }
};

Topology::Topology() : tree_(std::make_unique<Tree>()) {
  hwloc_topology_t tree = nullptr;
  check_hwloc(hwloc_topology_init(&tree), "cannot start");
  tree_->handle = UniqueHandle<TreeTraits>(tree);
  check_hwloc(hwloc_topology_load(tree), "cannot read the topology of this node");
}

Topology::~Topology() = default;

Hardware Topology::hardware() const {
  const hwloc_topology_t tree = tree_->get();
  Hardware h;
  h.packages = hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_PACKAGE);
  h.cores = hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_CORE);
  h.threads = hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_PU);
  h.numa_nodes = hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_NUMANODE);
  h.memory_bytes = hwloc_get_root_obj(tree)->total_memory;

  if (const hwloc_obj_t package = hwloc_get_obj_by_type(tree, HWLOC_OBJ_PACKAGE, 0)) {
    const char* model = hwloc_obj_get_info_by_name(package, "CPUModel");
    h.processor = model ? model : "";
  }
  constexpr hwloc_obj_type_t kLevels[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE};
  for (int level = 1; level <= 3; ++level) {
    const Cache cache = cache_at(tree, kLevels[level - 1], level);
    if (cache.count > 0) h.caches.push_back(cache);
  }
  return h;
}

CoreSet Topology::allowed_cores() const {
  const hwloc_topology_t tree = tree_->get();
  const Bitmap mask = affinity_mask(tree);
  CoreSet cores;
  const int count = hwloc_get_nbobjs_by_type(tree, HWLOC_OBJ_CORE);
  for (int i = 0; i < count; ++i) {
    const hwloc_obj_t core = hwloc_get_obj_by_type(tree, HWLOC_OBJ_CORE, i);
    if (hwloc_bitmap_intersects(core->cpuset, mask.get())) cores.push_back(i);
  }
  return cores;
}

bool Topology::bind(const CoreSet& cores) const {
  const hwloc_topology_t tree = tree_->get();
  const Bitmap mask = affinity_mask(tree), chosen(hwloc_bitmap_alloc());
  for (int i : cores) {
    const hwloc_obj_t core = hwloc_get_obj_by_type(tree, HWLOC_OBJ_CORE, i);
    expect(core != nullptr, "no such core");
    check_hwloc(hwloc_bitmap_or(chosen.get(), chosen.get(), core->cpuset), "or");
  }
  check_hwloc(hwloc_bitmap_and(chosen.get(), chosen.get(), mask.get()), "and");
  return hwloc_set_cpubind(tree, chosen.get(), HWLOC_CPUBIND_PROCESS) == 0;
}

}  // namespace lockstep
