#version 330
in vec3 in_place;
in vec2 in_uv;
in vec2 in_lash;  // 0 and 0.3 lash (root at v = 0 or 1), 1 shade of the lid; 1 for the lower lid
out vec2 uv;
out vec2 lash;
//include place
void main() {
    uv = in_uv;
    lash = in_lash;
    vec4 at = camera * vec4(turned(in_place, 0.0), 1.0);
    at.z -= (in_lash.x > 0.5 ? -0.0001 : 0.0006) * at.w;
    gl_Position = at;
}
