#version 330
in vec3 place;
in vec3 normal;
in vec3 colour;
in vec4 from_lamp;
out vec4 seen;
uniform float gloss;
uniform float sharp;
uniform float glow;
uniform float opacity;
uniform float glare;
//include light
void main() {
    vec3 n = normalize(normal);
    vec3 to_eye = normalize(eye - place);
    if (dot(n, to_eye) < 0.0) n = -n;
    float lit = in_light(from_lamp, 0.006);
    vec3 sum = colour * room(n);
    vec3 glints = vec3(0);
    for (int i = 0; i < 3; i++) {
        float facing = dot(n, lamp_to[i]);
        vec3 wrap = vec3(0.28, 0.1, 0.06) * glow;
        float direct = i == 0 ? lit : 1.0;
        sum += colour * clamp((vec3(facing) + wrap) / (1.0 + wrap), 0.0, 1.0) * lamp_rgb[i] * direct;
        vec3 halfway = normalize(lamp_to[i] + to_eye);
        float glint = pow(max(dot(n, halfway), 0.0), sharp) * (sharp + 8.0) / 25.1;
        glints += lamp_rgb[i] * glint * mirrored_share(dot(halfway, to_eye)) * gloss * max(facing, 0.0) * direct;
    }
    vec3 mirrored = reflect(-to_eye, n);
    vec2 window = abs(vec2(mirrored.x - 0.12, mirrored.y - 0.28)) - vec2(0.16, 0.12);
    float pane = smoothstep(0.03, -0.03, max(window.x, window.y));
    float mirror = glare * (pane + 0.10 * smoothstep(-0.2, 0.8, mirrored.y));
    float alpha = clamp(opacity + mirror, 0.0, 1.0);
    seen = vec4(filmed(sum) * opacity + filmed(room_above * 1.6) * mirror + filmed(glints) * max(opacity, glare), alpha);
}
