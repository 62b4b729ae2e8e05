// An OpenCL host program for the check `opencl`: sums by a tree in local memory, and a matrix transposed through local memory.
// Compares with the CPU; prints what it found, the last line is "right" or "wrong".  groups [wrong|unsynchronised]
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { lanes = 256, groups = 12, width = 64, height = 48, tile = 16 };

static const char *source =
    "#ifdef UNSYNCHRONISED\n"
    "#define SYNC\n"
    "#else\n"
    "#define SYNC barrier(CLK_LOCAL_MEM_FENCE);\n"
    "#endif\n"
    "kernel void tree(global const uint *in, global uint *out, local uint *sums) {\n"
    "  uint lane = get_local_id(0);\n"
    "  sums[lane] = in[get_global_id(0)];\n"
    "  SYNC\n"
    "  for (uint reach = get_local_size(0) / 2; reach; reach /= 2) {\n"
    "    if (lane < reach) sums[lane] += sums[lane + reach];\n"
    "    SYNC\n"
    "  }\n"
    "  if (lane == 0) out[get_group_id(0)] = sums[0];\n"
    "}\n"
    "kernel void transpose(global const uint *in, global uint *out, uint width, uint height, local uint *part) {\n"
    "  uint x = get_local_id(0), y = get_local_id(1), n = get_local_size(0);\n"
    "  part[y * (n + 1) + x] = in[get_global_id(1) * width + get_global_id(0)];\n"
    "  SYNC\n"
    "  out[(get_group_id(0) * n + y) * height + get_group_id(1) * n + x] = part[x * (n + 1) + y];\n"
    "}\n";

static void must(cl_int error, const char *what) {
  if (error == CL_SUCCESS) return;
  printf("%s: error %d\n", what, error);
  exit(2);
}

static cl_mem buffer(cl_context context, size_t bytes, void *from) {
  cl_int error;
  cl_mem memory = clCreateBuffer(context, from ? CL_MEM_COPY_HOST_PTR : CL_MEM_READ_WRITE, bytes, from, &error);
  must(error, "clCreateBuffer");
  return memory;
}

int main(int count, char **words) {
  const char *mode = count > 1 ? words[1] : "";
  cl_platform_id platform;
  cl_device_id device;
  cl_int error;
  char name[128] = "";
  must(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
  must(clGetDeviceIDs(platform, CL_DEVICE_TYPE_GPU, 1, &device, NULL), "clGetDeviceIDs");
  must(clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL), "clGetDeviceInfo");
  printf("%s\n", name);
  cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &error);
  must(error, "clCreateContext");
  cl_command_queue queue = clCreateCommandQueue(context, device, 0, &error);
  must(error, "clCreateCommandQueue");
  cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &error);
  must(error, "clCreateProgramWithSource");
  const int unsynchronised = strcmp(mode, "unsynchronised") == 0;
  error = clBuildProgram(program, 1, &device, unsynchronised ? "-DUNSYNCHRONISED" : "", NULL, NULL);
  if (error != CL_SUCCESS) {
    static char log[4096];
    clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
    puts(log);
  }
  must(error, "clBuildProgram");

  static cl_uint in[lanes * groups], sums[groups], matrix[width * height], turned[width * height];
  for (cl_uint i = 0; i < lanes * groups; ++i) in[i] = i * 2654435761u;
  for (cl_uint i = 0; i < width * height; ++i) matrix[i] = i ^ 0xabcd0000u;
  cl_mem in_memory = buffer(context, sizeof in, in), sums_memory = buffer(context, sizeof sums, NULL);
  cl_mem matrix_memory = buffer(context, sizeof matrix, matrix), turned_memory = buffer(context, sizeof turned, NULL);

  cl_kernel tree = clCreateKernel(program, "tree", &error);
  must(error, "clCreateKernel tree");
  must(clSetKernelArg(tree, 0, sizeof in_memory, &in_memory) | clSetKernelArg(tree, 1, sizeof sums_memory, &sums_memory) |
           clSetKernelArg(tree, 2, lanes * sizeof(cl_uint), NULL), "arguments of tree");
  const size_t all = lanes * groups, group = lanes;
  must(clEnqueueNDRangeKernel(queue, tree, 1, NULL, &all, &group, 0, NULL, NULL), "tree");

  cl_kernel transpose = clCreateKernel(program, "transpose", &error);
  must(error, "clCreateKernel transpose");
  const cl_uint w = width, h = height;
  must(clSetKernelArg(transpose, 0, sizeof matrix_memory, &matrix_memory) |
           clSetKernelArg(transpose, 1, sizeof turned_memory, &turned_memory) | clSetKernelArg(transpose, 2, sizeof w, &w) |
           clSetKernelArg(transpose, 3, sizeof h, &h) |
           clSetKernelArg(transpose, 4, tile * (tile + 1) * sizeof(cl_uint), NULL), "arguments of transpose");
  const size_t shape[2] = {width, height}, tiles[2] = {tile, tile};
  must(clEnqueueNDRangeKernel(queue, transpose, 2, NULL, shape, tiles, 0, NULL, NULL), "transpose");
  must(clEnqueueReadBuffer(queue, sums_memory, CL_TRUE, 0, sizeof sums, sums, 0, NULL, NULL), "reading the sums");
  must(clEnqueueReadBuffer(queue, turned_memory, CL_TRUE, 0, sizeof turned, turned, 0, NULL, NULL), "reading the matrix");

  int wrong_sums = 0, wrong_elements = 0;
  for (cl_uint g = 0; g < groups; ++g) {
    cl_uint expected = strcmp(mode, "wrong") == 0 && g == 5 ? 1 : 0;
    for (cl_uint i = 0; i < lanes; ++i) expected += in[g * lanes + i];
    wrong_sums += sums[g] != expected;
  }
  for (cl_uint y = 0; y < height; ++y)
    for (cl_uint x = 0; x < width; ++x) wrong_elements += turned[x * height + y] != matrix[y * width + x];
  printf("%d of %d sums and %d of %d elements are wrong\n", wrong_sums, groups, wrong_elements, width * height);
  puts(wrong_sums || wrong_elements ? "wrong" : "right");
  return wrong_sums || wrong_elements;
}
